// SPDX-License-Identifier: Apache-2.0
// Primitives on processes, kernel settings, block devices and cgroups. A process is named by pid and start time and held
// by a pidfd while it is looked at, so that another one that got its pid is never touched.
#pragma once

#include <sys/types.h>

#include "cbor.h"
#include "outcome.h"
#include "policy.h"

struct ProcessId {
	pid_t pid;
	int64_t start_ticks; // since boot; with the pid, a name for good
};

// From /proc/PID/stat; false where the process is gone. parent and state may be null.
bool read_process(pid_t pid, int64_t *start_ticks, pid_t *parent, char *state);
// Whether it is that process and not a zombie.
bool lives(const ProcessId &process);

// Of its program; of itself where that cannot be read. Empty where it is gone.
std::string process_name(pid_t pid);

// Why a process must not be touched; empty where it may. `own`: it is a service of the actuator's, or part of one.
std::string protection_of(const Policy &policy, pid_t pid, bool own);

Outcome process_signal(const ProcessId &process, int signal);
Outcome process_nice(const ProcessId &process, int64_t nice);
Outcome process_ioprio(const ProcessId &process, int64_t ioclass, int64_t level);
// soft and hard: -1 for no limit.
Outcome process_limit(const ProcessId &process, const std::string &resource, int64_t soft, int64_t hard);
// [pid, start ticks, name, uid, nice, I/O class, I/O level, [resource, soft, hard]…]
Outcome process_read(pid_t pid, Encoder *answer);

// The process that listens on a TCP port: [pid, start ticks, program, uid]; not found where no visible process does.
Outcome port_holder(uint16_t port, Encoder *answer);

int signal_number(const std::string &name); // "TERM" → SIGTERM; 0 where unknown
int resource_number(const std::string &name);

Outcome sysctl_write(const std::string &key, const std::string &value);
Outcome sysctl_read(const std::string &key, std::string *value);
// attribute: "scheduler" or "read_ahead_kb"
Outcome block_write(const std::string &device, const std::string &attribute, const std::string &value);
Outcome block_read(const std::string &device, const std::string &attribute, std::string *value);

// The cgroup kalos/NAME in the hierarchy (v1 or v2) that has the controller: "cpu" (thousandths of a core), "memory"
// (bytes), "freezer" (0 or 1); 0 lifts a limit. `member`'s session (the service) is moved into it.
Outcome cgroup_write(const std::string &name, const std::string &controller, int64_t value, pid_t member);
// 0 where there is no limit.
Outcome cgroup_read(const std::string &name, const std::string &controller, int64_t *value);
// Takes the group away: limits end with the service. False while something is in it.
bool cgroup_forget(const std::string &name);
