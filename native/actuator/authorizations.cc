// SPDX-License-Identifier: Apache-2.0
// The queue of authorizations, the process that judges them, and the record of those that were used.
#include "authorizations.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apart.h"
#include "child.h"
#include "files.h"

namespace {

constexpr char kRecord[] = "leave"; // as the file was first called
constexpr size_t kMaxRecordBytes = 8 << 20;
constexpr size_t kMaxWhyBytes = 300;
constexpr size_t kMaxAsked = 16;
constexpr int64_t kWithinMs = 20000;
constexpr uid_t kNobody = 65534;

// In the child.
[[noreturn]] void become_judge(const std::string &program, int question, int answer, int errors, bool drop) {
	rlimit file{kMaxRecordBytes, kMaxRecordBytes};
	setrlimit(RLIMIT_FSIZE, &file);
	if (drop && (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0))
		_exit(127);
	setsid();
	reset_signals();
	dup2(question, 0);
	dup2(answer, 1);
	dup2(errors, 2);
	syscall(SYS_close_range, 3U, ~0U, 0U);
	// leave-check: the name that judges of all versions know.
	char *words[] = {const_cast<char *>(program.c_str()), const_cast<char *>("leave-check"), nullptr};
	// No cache of compiled code: it would lie where others can write.
	char *environment[] = {const_cast<char *>("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), const_cast<char *>("LANG=C.UTF-8"),
			       const_cast<char *>("NODE_DISABLE_COMPILE_CACHE=1"), nullptr};
	execve(words[0], words, environment);
	std::string text = program + ": " + strerror(errno);
	(void)!write(2, text.data(), text.size());
	_exit(127);
}

} // namespace

void Authorizations::judge(const std::string &id, const Value &steps, const std::string &authorization, const std::string &swarm, Done done) {
	if (asked_.size() >= kMaxAsked)
		return done(Outcome::failed("16 authorizations wait for the judge already: try again later"));
	Encoder question;
	question.text(id).value(steps).bytes(authorization).text(swarm);
	asked_.push_back({question.data(), std::move(done)});
	if (asked_.size() == 1)
		next();
}

void Authorizations::next() {
	if (asked_.empty())
		return;
	std::string path = directory_ + "/" + kRecord, used, why;
	if (access(path.c_str(), F_OK) == 0 && !read_whole(path, kMaxRecordBytes, &used))
		return answered(Outcome::failed(path + ": the record of used authorizations cannot be read, or is larger than 8 MiB: restore or remove it"));
	Encoder whole;
	whole.array(6).splice(asked_.front().question).bytes(used).number(owned_);
	if (!start(whole.data(), &why))
		answered(Outcome::failed("the authorization cannot be judged: " + why));
}

bool Authorizations::start(const std::string &question, std::string *why) {
	Fd in = memory_file(question);
	answer_ = memory_file("");
	errors_ = memory_file("");
	pid_ = in.ok() && answer_.ok() && errors_.ok() ? fork() : -1;
	if (pid_ == 0)
		become_judge(program_, in.get(), answer_.get(), errors_.get(), geteuid() == 0 && !owned_);
	if (pid_ < 0) {
		*why = strerror(errno);
		answer_.reset();
		errors_.reset();
		pid_ = 0;
		return false;
	}
	timeout_ = loop_.after(kWithinMs, [this] { kill(-pid_, SIGKILL), kill(pid_, SIGKILL); });
	return true;
}

bool Authorizations::ended(pid_t pid, int status) {
	if (pid_ == 0 || pid != pid_)
		return false;
	pid_ = 0;
	loop_.cancel(timeout_);
	std::string said = memory_content(answer_.get(), kMaxRecordBytes), errors = memory_content(errors_.get(), kMaxWhyBytes);
	answer_.reset();
	errors_.reset();
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		answered(said.size() > kMaxRecordBytes ? Outcome::failed("the record of used authorizations would be larger than 8 MiB") : write_durably(directory_, kRecord, said));
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		answered(Outcome::refused("its authorization does not hold: " + (said.empty() ? errors : said).substr(0, kMaxWhyBytes)));
	else
		answered(Outcome::failed("the authorization cannot be judged: " + (errors.empty() ? program_ + " gives no answer" : errors.substr(0, kMaxWhyBytes))));
	return true;
}

void Authorizations::answered(Outcome outcome) {
	Done done = std::move(asked_.front().done);
	asked_.pop_front();
	done(std::move(outcome));
	if (pid_ == 0)
		next();
}
