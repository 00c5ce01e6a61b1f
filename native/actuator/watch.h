// SPDX-License-Identifier: Apache-2.0
// Watchdogs. An agent that hangs is noticed by its missing heartbeat, what can be seen of it is
// kept, and it is ended where something starts it again. That this loop turns is reported to systemd (sd_notify(3)) and to a
// hardware watchdog (Documentation/watchdog/watchdog-api.rst), where there is one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "../fd.h"
#include "cbor.h"
#include "loop.h"
#include "machine.h"

class AgentWatch {
public:
	AgentWatch(Loop &loop, std::string directory, int64_t limit_ms, bool is_parent, std::function<void(const std::string &)> note);

	// What an agent says of itself with a beat: a supervisor starts it again; a debugger is at it.
	enum Flags {
		kStartedAgain = 1,
		kDebugged = 2,
	};
	// From the first one on it is judged: an agent that has never sent one (before 0.4.0) is not.
	void beat(pid_t pid, int64_t flags);
	// Its connection is closed.
	void gone();
	// [wall ms, how long it lasted in ms, ended, in words]…, the oldest first.
	void encode(Encoder *answer) const;
	// Before it is started again: longer with each stall within the hour.
	int64_t pause_ms() const;

private:
	struct Stall {
		int64_t at_ms, lasted_ms;
		bool ended;
		std::string words;
	};

	void look();
	void stalled(int64_t lasted_ms);
	void keep(int64_t lasted_ms, bool ended, const std::string &words);
	size_t ended_of_late() const;

	Loop &loop_;
	std::string directory_;
	int64_t limit_ms_;
	bool is_parent_;
	std::function<void(const std::string &)> note_;
	ProcessId agent_{0, 0};
	int64_t flags_ = 0;
	int64_t beat_ms_ = 0;                // CLOCK_MONOTONIC: a machine that is suspended does not hang
	int64_t ran_ns_ = 0, waited_ns_ = 0; // its main thread, and for a CPU, at that beat
	int64_t looked_ms_ = 0;
	bool reported_ = false; // this stall, once
	std::vector<Stall> stalls_;
};

class Alive {
public:
	// watchdog: a device, or empty. False with the reason in *why where it cannot be opened.
	Alive(Loop &loop, const std::string &watchdog) : loop_(loop), watchdog_path_(watchdog) {}
	bool open(std::string *why);
	void ready();
	void stopping();
	// In order: the magic close says to the device that it is meant.
	void stopped();

private:
	void notify(const std::string &text);
	void ping();
	void repeat(int64_t every_ms, std::function<void()> what);

	Loop &loop_;
	std::string watchdog_path_;
	std::string systemd_;
	Fd watchdog_;
};
