// SPDX-License-Identifier: Apache-2.0
// Leave for disruptive changes: a certificate of the machine's witnesses, or the signatures of two operators, over the very
// steps that are to be armed. A program without privileges judges it (`kalos leave-check`), which is told what was kept of
// earlier leave and answers with what to keep: that is on disk before anything is armed, so that no leave is good twice.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "../fd.h"
#include "cbor.h"
#include "loop.h"
#include "outcome.h"
#include "services.h"

class Leaves {
public:
	// program: empty where nobody judges. owned: by an agent, with its privileges: it may come into another swarm, and the judge
	// runs as it does; else as nobody, where this process is root's, and for one machine of one swarm for good.
	Leaves(Loop &loop, std::string directory, std::string program, bool owned)
	    : loop_(loop), directory_(std::move(directory)), program_(std::move(program)), owned_(owned) {}

	bool judged() const { return !program_.empty(); }
	// One after the other: what one keeps, the next one is told.
	// swarm: whose leave counts; empty where the first that is shown says so.
	void judge(const std::string &id, const Value &steps, const std::string &leave, const std::string &swarm, Done done);
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
