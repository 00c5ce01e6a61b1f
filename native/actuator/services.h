// SPDX-License-Identifier: Apache-2.0
// The processes that the actuator starts and is answerable for: services, one-off programs, and helpers such as nft. A
// service goes on when the agent dies, and is taken up again by the next actuator when this one dies: its pid and start
// time are on disk before its start is reported.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

#include "../fd.h"
#include "apart.h"
#include "cbor.h"
#include "loop.h"
#include "outcome.h"
#include "policy.h"

struct ServiceSpec {
	std::string name;
	std::vector<std::string> argv;
	std::string directory;                       // empty: the actuator's; / where it has a user of its own
	std::vector<std::string> environment;        // "KEY=value"
	std::string user;                            // empty: one of its own
	uid_t own_uid = 0;                           // 0: none; it is the agent's where this process cannot give it another
	std::vector<std::pair<int, int64_t>> limits; // rlimits: resource, value
	int64_t cpu_milli = 0;                       // thousandths of a core; 0: no limit
	int64_t memory_bytes = 0;
	int stop_signal = 15;
	int64_t stop_grace_ms = 5000;
	int64_t log_bytes = 10 << 20; // rotated beyond this
	bool once = false;            // a one-off program in a sandbox, not a service
	int64_t timeout_ms = 0;       // of a one-off program
	bool fenced = false;          // runs on one machine of the swarm at a time: only while it is held
};

using Done = std::function<void(Outcome)>;

class Services {
public:
	// answer_within_ms: how long what others control may take to answer. changed(name, ended by itself)
	Services(Loop &loop, const Policy &policy, std::string directory, uid_t agent_uid, int64_t answer_within_ms, std::function<void(const std::string &, bool)> changed);

	// [name, [argv…], directory, [environment…], user, [[resource, value]…], cpu, memory, stop signal, grace, log bytes]…
	// Nothing is taken where one is wrong. Services that are not named any more go on until they are stopped.
	// What was declared is on disk: an actuator that was killed knows its services without the agent, and can undo.
	Outcome declare(const Value &specs);
	// Takes up what an actuator before this one was given to run.
	void recall();
	bool declared(const std::string &name) const { return services_.count(name) > 0; }
	// Whether a policy that a test could set would let it start now.
	Outcome check(const std::string &name) const;
	// Done when the program runs. What must be reached for that (its directory, the program) may not answer: then it is killed.
	void start(const std::string &name, Done done);
	// Its end is no failure then; but whether it is to stay down is for `intend` to say.
	void stop(const std::string &name, Done done);
	// What has it down: nothing, and it is started with the others; a change that is neither confirmed nor undone yet; a person, over
	// every restart of agent, actuator and machine; or a policy, as long as this actuator runs. All ends when it is started.
	enum Intent {
		kNobody,
		kPerson,
		kPolicy,
		kPending,
	};
	Outcome intend(const std::string &name, Intent by);
	// This machine's until then (whichever comes first), of a service that others may run too. It is started where it was not, with the fence in
	// KALOS_FENCE; unless it is held again it is killed when the time is over, with or without an agent.
	struct Until {
		int64_t monotonic_ms, wall_ms; // CLOCK_MONOTONIC, and the wall clock
	};
	void hold(const std::string &name, Until until, int64_t fence, Done done);
	// It is not this machine's any more: stopped, and killed when the time is over at the latest.
	void release(const std::string &name, Done done);
	void stop_all(std::function<void()> done);
	// A one-off program, under a name of its own, without new privileges or network.
	void spawn(const std::string &name, const std::string &user, const std::vector<std::string> &argv, int64_t timeout_ms, Done done);
	// A fixed helper (nft, systemctl): done with its standard error where it fails.
	void run_helper(const std::vector<std::string> &argv, const std::string &input, int64_t timeout_ms, Done done);
	// A health check, run as its service: `failed` where it ends with anything but 0, `gone` where it does not end in time, `unknown` where it could not be started.
	void run_check(const std::string &name, const std::vector<std::string> &argv, int64_t timeout_ms, Done done);
	Loop &loop() const { return loop_; }
	Apart &apart() { return apart_; }
	int64_t answer_within_ms() const { return answer_within_ms_; }
	// Collects children that ended; as PID 1 also those of others.
	void reap();
	// Whether a process belongs to a service, by its session.
	bool owns(pid_t pid) const { return !owner_of(pid).empty(); }
	std::string owner_of(pid_t pid) const;
	// Whether it is a descendant of this process, or a service's: it may ask for nothing.
	bool started(pid_t pid) const;
	// In --init: the agent, which is a child too.
	pid_t agent_child = 0;
	pid_t pid_of(const std::string &name) const;
	void encode(const std::string &name, Encoder *answer) const;
	std::vector<std::string> names() const;
	// Where a child that is not a service's ended: the agent's, in --init.
	std::function<void(pid_t, int)> on_other;

private:
	enum State {
		kStopped,
		kRunning,
		kExited,
	};
	struct Service {
		ServiceSpec spec;
		State state = kStopped;
		pid_t pid = 0;
		int64_t start_ticks = 0;
		Fd pidfd; // of one that is not this process's child
		int exit_code = -1;
		int exit_signal = 0;
		int64_t starts = 0;
		int64_t since_ms = 0;
		bool stop_requested = false;
		Intent down_by = kNobody;
		bool unrecorded = false; // its disk took no record of how it is: it is written later
		int64_t fence = 0;
		int64_t held_until_ms = 0;
		bool lapsed = false; // stopped because it was held no longer
		Loop::Timer lease = 0;
		std::string missing; // what it was to have, and has not
		Fd beginning;        // until the program runs: where it would say why not
		bool late = false;   // it did not begin in time, was killed, and has not ended yet
		std::vector<Done> starting;
		Loop::Timer begins_by = 0;
		bool rotating = false;
		std::vector<Done> stopping;
		Loop::Timer killer = 0;
	};
	struct Helper {
		Fd errors;
		std::string text;
		Loop::Timer timeout;
		Done done;
	};

	// Whether it was one.
	bool helper_ended(pid_t pid, int status);
	Outcome begin_helper(const std::vector<std::string> &argv, const std::string &input, int64_t timeout_ms, const std::string &as_service, const Done &done);
	Outcome take(const Value &specs);
	Outcome parse(const Value &value, ServiceSpec *spec) const;
	struct Identity {
		uid_t uid;
		gid_t gid;
		std::string name; // empty: of no account
		std::string home;
	};
	Outcome own_user(const std::string &name, std::set<uid_t> *taken, uid_t *uid) const;
	std::set<uid_t> taken_users() const;
	void keep_user(const ServiceSpec &spec);
	Outcome make_room(const std::vector<ServiceSpec> &declared);
	void recall_users();
	Outcome identity(const ServiceSpec &spec, Identity *out) const;
	[[noreturn]] void become(const ServiceSpec &spec, int64_t fence, pid_t parent, int log, int failed) const;
	void adopt(Service *service);
	Outcome fork_off(Service *service, bool *logless);
	void begun(Service *service, bool over);
	void not_in_time(Service *service);
	void limit_group(Service *service);
	void forget_program(const std::string &name);
	void ended(Service *service, int code, int signal);
	void lapse(Service *service);
	void kill_group(const Service &service, int signal) const;
	void make_stop(Service *service);
	Outcome record(const Service &service) const;
	void forget_group(const std::string &name, int attempts);
	void rotate_logs();

	Loop &loop_;
	Apart apart_;
	const Policy &policy_;
	std::string directory_;
	std::string boot_;
	uid_t agent_uid_;
	int64_t answer_within_ms_;
	std::function<void(const std::string &, bool)> changed_;
	std::map<std::string, std::unique_ptr<Service>> services_;
	std::map<pid_t, Helper> helpers_;
	std::map<std::string, uid_t> own_users_; // of all that ever ran: what they own belongs to no other service
};

std::string boot_id();
