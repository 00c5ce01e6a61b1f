// SPDX-License-Identifier: Apache-2.0
// Work on what others control: files in their directories and on their file systems, devices, settings of the kernel, what
// processes have open. Any of it may not answer for good (FUSE, a lease, a dead server), or may take long. So it is done in a
// child with a deadline, and the loop waits for nothing. A child that is killed half-way leaves what a crash would leave.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <sys/types.h>

#include "../fd.h"
#include "cbor.h"
#include "loop.h"
#include "outcome.h"

// A change may copy 1 GiB, on a slow disk: it has so many times as long.
constexpr int64_t kCopies = 6;

class Apart {
public:
	// In the child: what it changes in memory is lost, all but its outcome and its items.
	using Work = std::function<Outcome(Encoder *items)>;
	using Report = std::function<void(const Outcome &, const std::string &items)>;

	explicit Apart(Loop &loop) : loop_(loop) {}
	// Jobs of one lane are done one after the other, in the order of asking; those of the lane "" wait for none. After a job
	// that cannot even be killed (it waits in the kernel), its lane refuses until it ends.
	void run(const std::string &lane, int64_t within_ms, Work work, Report report);
	// True where the child that ended was one of these.
	bool ended(pid_t pid, int status);

private:
	struct Job {
		std::string lane;
		int64_t within_ms;
		Work work;
		Report report; // none: it was late, and that was reported
		pid_t pid = 0;
		Fd answer;
		Loop::Timer timeout = 0;
	};

	bool stuck(const std::string &lane) const;
	void next();
	bool begin(uint64_t serial, Job *job);
	void late(uint64_t serial);
	void fail(uint64_t serial, const std::string &why);

	Loop &loop_;
	std::map<uint64_t, Job> jobs_;
	uint64_t next_serial_ = 1;
};

// A file in memory, read from its beginning; not ok where there is none.
Fd memory_file(const std::string &content);
// What was written to one; limit + 1 bytes where it is more.
std::string memory_content(int fd, size_t limit);
