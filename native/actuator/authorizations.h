// SPDX-License-Identifier: Apache-2.0
// Authorizations of disruptive changes: a certificate of the machine's witnesses, or the signatures of two operators, over the very
// steps that are to be armed. A program without privileges judges them (`kalos authorize-check`). It reads the record of those that were
// used before and answers with the new record: that is on disk before anything is armed, so that none is used twice.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "../fd.h"
#include "cbor.h"
#include "loop.h"
#include "outcome.h"
#include "services.h"

class Authorizations {
public:
	// program: the judge; empty where there is none. owned: by an agent, with its privileges: the agent may join another swarm, and
	// the judge runs as the agent's user. Else the judge runs as the user nobody (where this process is root's), for one machine of one
	// swarm for good.
	Authorizations(Loop &loop, std::string directory, std::string program, bool owned)
	    : loop_(loop), directory_(std::move(directory)), program_(std::move(program)), owned_(owned) {}

	bool has_judge() const { return !program_.empty(); }
	// One after the other: each is judged with the record that the one before it left.
	// swarm: the one whose authorizations count; empty: the swarm of the first that is shown.
	void judge(const std::string &id, const Value &steps, const std::string &authorization, const std::string &swarm, Done done);
	// True where the child that ended was a judge.
	bool ended(pid_t pid, int status);

private:
	struct Asked {
		std::string question;
		Done done;
	};

	void next();
	bool start(const std::string &question, std::string *why);
	void answered(Outcome outcome);

	Loop &loop_;
	std::string directory_;
	std::string program_;
	bool owned_;
	std::deque<Asked> asked_;
	pid_t pid_ = 0;
	Fd answer_;
	Fd errors_; // apart: a warning is no answer
	Loop::Timer timeout_ = 0;
};
