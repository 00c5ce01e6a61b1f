// SPDX-License-Identifier: Apache-2.0
// Changes and their armed undos. Nothing changes the machine but a step of a change that is on disk, undo and all, before
// its first step is tried. A step is tried at most once. A change that is not confirmed is undone, last step first: when
// the agent asks, at its deadline, when the agent is gone, and after a reboot.
#pragma once

#include <map>
#include <set>
#include <string>

#include "cbor.h"
#include "loop.h"
#include "outcome.h"
#include "primitives.h"

class Changes {
public:
	// note(text): a line for the log.
	Changes(Loop &loop, Primitives &primitives, std::string directory, std::function<void(const std::string &)> note);

	// Takes up what is on disk; what a former boot left is undone, as far as it outlived the boot.
	void recover();
	// Whether steps could be armed now, authorization aside; changes nothing.
	Outcome check(const Value &steps) const;
	// The rule by which one of them needs authorization; empty where none does. Refused for an unknown primitive.
	Outcome certified_by(const Value &steps, std::string *rule) const;
	// steps: [[do, undo]…]; an undo is a primitive or an empty list.
	Outcome arm(const std::string &id, int64_t fire_after_ms, const Value &steps);
	void apply(const std::string &id, int64_t step, Done done);
	// by_person: a service that it stopped is to stay down.
	void confirm(const std::string &id, bool by_person, Done done);
	void undo(const std::string &id, const std::string &reason, Done done);
	// "unknown" | "armed" | "confirmed" | "undone" | "failed", how many steps were begun, and why
	void state(const std::string &id, Encoder *answer) const;
	// The agent's connection is gone: after a grace everything unconfirmed is undone, unless it is back.
	void agent_gone();
	void agent_back();
	size_t open() const;

private:
	enum State {
		kArmed,
		kConfirmed,
		kUndone,
		kFailed,
	};
	struct Change {
		std::string id;
		std::string boot;
		int64_t deadline_ms = 0; // since boot
		int64_t order = 0;
		State state = kArmed;
		int64_t begun = 0;
		std::string reason;
		Value steps;
		// Not on disk:
		bool running = false;
		std::vector<Done> undoing;
		Loop::Timer timer = 0;
		int attempts = 0;
	};

	std::string key(const Change &change, size_t step) const { return change.id + "-" + std::to_string(step); }
	Outcome save(const Change &change);
	bool load(const std::string &file, Change *change) const;
	void schedule(Change *change);
	void undo_from(Change *change, int64_t step, std::string problems);
	void finish(Change *change, State state, const std::string &reason);
	std::vector<Primitives::Step> kept_by(const Change &change) const;
	Outcome intend(const Change &change, Services::Intent by);
	void fire_all(const std::string &reason);
	void prune();

	Loop &loop_;
	Primitives &primitives_;
	std::string directory_;
	std::string boot_;
	std::function<void(const std::string &)> note_;
	std::map<std::string, Change> changes_;
	int64_t next_order_ = 1;
	Loop::Timer grace_ = 0;
};
