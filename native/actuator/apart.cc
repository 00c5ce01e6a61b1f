// SPDX-License-Identifier: Apache-2.0
// Children with a deadline: how their work is begun, answered through a file in memory, ended when it is late, and queued by lane.
#include "apart.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr size_t kMaxChildren = 16; // those that cannot be killed among them
constexpr size_t kMaxJobs = 256;
constexpr size_t kMaxAnswerBytes = 4 << 20;

// The child: nothing of what the actuator has open but its errors and the answer (a lock stays while any process has the file open).
[[noreturn]] void work_apart(const Apart::Work &work, int answer, pid_t parent) {
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	if (answer > 3)
		syscall(SYS_close_range, 3u, static_cast<unsigned>(answer - 1), 0u);
	syscall(SYS_close_range, static_cast<unsigned>(answer + 1), ~0u, 0u);
	Encoder items, body;
	Outcome outcome = work(&items);
	body.array(3).number(outcome.code).text(outcome.message).bytes(items.data());
	const std::string &bytes = body.data();
	for (size_t at = 0; at < bytes.size();) {
		ssize_t wrote = write(answer, bytes.data() + at, bytes.size() - at);
		if (wrote <= 0)
			_exit(1);
		at += static_cast<size_t>(wrote);
	}
	_exit(0);
}

} // namespace

Fd memory_file(const std::string &content) {
	Fd file(memfd_create("kalos", MFD_CLOEXEC));
	for (size_t at = 0; file.ok() && at < content.size();) {
		ssize_t wrote = write(file.get(), content.data() + at, content.size() - at);
		if (wrote <= 0)
			return Fd();
		at += static_cast<size_t>(wrote);
	}
	if (file.ok())
		lseek(file.get(), 0, SEEK_SET);
	return file;
}

std::string memory_content(int fd, size_t limit) {
	struct stat at;
	bool fits = fstat(fd, &at) == 0 && static_cast<size_t>(at.st_size) <= limit;
	std::string content(fits ? static_cast<size_t>(at.st_size) : limit + 1, '\0');
	size_t length = 0;
	for (ssize_t got; length < content.size() && (got = pread(fd, content.data() + length, content.size() - length, static_cast<off_t>(length))) > 0;)
		length += static_cast<size_t>(got);
	content.resize(length);
	return content;
}

void Apart::run(const std::string &lane, int64_t within_ms, Work work, Report report) {
	if (jobs_.size() >= kMaxJobs)
		return report(Outcome::failed("256 operations wait already: try again later"), "");
	if (stuck(lane))
		return report(Outcome::failed("nothing was done: an earlier operation on the same files or setting does not end"), "");
	jobs_[next_serial_++] = Job{lane, within_ms, std::move(work), std::move(report), 0, Fd(), 0};
	next();
}

// Whether it would wait for one that does not end.
bool Apart::stuck(const std::string &lane) const {
	size_t children = 0;
	for (const auto &[serial, job] : jobs_) {
		if (job.report)
			continue;
		children++;
		if (!lane.empty() && job.lane == lane)
			return true;
	}
	return children >= kMaxChildren;
}

void Apart::next() {
	size_t children = 0;
	for (const auto &[serial, job] : jobs_)
		children += job.pid != 0;
	std::set<std::string> taken;
	std::vector<uint64_t> failed;
	for (auto &[serial, job] : jobs_) {
		bool free = job.lane.empty() || taken.insert(job.lane).second;
		if (job.pid != 0 || !free || children >= kMaxChildren)
			continue;
		if (begin(serial, &job))
			children++;
		else
			failed.push_back(serial);
	}
	for (uint64_t serial : failed) {
		auto found = jobs_.find(serial); // the report of another may have begun this one
		if (found != jobs_.end() && found->second.pid == 0)
			fail(serial, "no process for it can be started");
	}
	if (!failed.empty())
		next(); // no other event begins what waits behind them
}

bool Apart::begin(uint64_t serial, Job *job) {
	pid_t self = getpid();
	job->answer = memory_file("");
	pid_t pid = job->answer.ok() ? fork() : -1;
	if (pid == 0)
		work_apart(job->work, job->answer.get(), self);
	if (pid < 0) {
		job->answer.reset();
		return false;
	}
	job->pid = pid;
	job->timeout = loop_.after(job->within_ms, [this, serial] { late(serial); });
	return true;
}

void Apart::late(uint64_t serial) {
	auto found = jobs_.find(serial);
	if (found == jobs_.end())
		return;
	Job &job = found->second;
	kill(job.pid, SIGKILL); // not reaped yet: the number is its own
	Report report;
	report.swap(job.report);
	std::string lane = job.lane;
	std::vector<uint64_t> behind;
	for (const auto &[other, waiting] : jobs_)
		if (waiting.pid == 0 && stuck(waiting.lane))
			behind.push_back(other);
	report(Outcome::failed("it did not end within " + std::to_string(job.within_ms) + " ms: the file system or device does not answer"), "");
	for (uint64_t other : behind)
		fail(other, "nothing was done: an earlier operation on the same files or setting does not end");
}

void Apart::fail(uint64_t serial, const std::string &why) {
	auto found = jobs_.find(serial);
	if (found == jobs_.end())
		return;
	Job job = std::move(found->second);
	jobs_.erase(found);
	if (job.report)
		job.report(Outcome::failed(why), "");
}

bool Apart::ended(pid_t pid, int status) {
	auto found = jobs_.begin();
	while (found != jobs_.end() && found->second.pid != pid)
		++found;
	if (found == jobs_.end())
		return false;
	Job job = std::move(found->second);
	jobs_.erase(found);
	loop_.cancel(job.timeout);
	std::string bytes = memory_content(job.answer.get(), kMaxAnswerBytes);
	job.answer.reset();
	Value said;
	const char *why;
	bool whole = WIFEXITED(status) && WEXITSTATUS(status) == 0 && bytes.size() <= kMaxAnswerBytes &&
		     decode_cbor(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), &said, &why) && said.items.size() == 3;
	if (job.report && whole)
		job.report({static_cast<Outcome::Code>(said.items[0].number), said.items[1].text}, said.items[2].text);
	else if (job.report)
		job.report(Outcome::failed("its process ended before it was done"), "");
	next();
	return true;
}
