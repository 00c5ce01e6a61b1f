// SPDX-License-Identifier: Apache-2.0
#include "leaves.h"

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
#include "files.h"

namespace {

constexpr char kMemory[] = "leave";
constexpr size_t kMaxMemoryBytes = 8 << 20;
constexpr size_t kMaxWhyBytes = 300;
constexpr size_t kMaxAsked = 16;
constexpr int64_t kWithinMs = 20000;
constexpr uid_t kNobody = 65534;

// In the child.
[[noreturn]] void become_judge(const std::string &program, int question, int answer, int errors, bool drop) {
	rlimit file{kMaxMemoryBytes, kMaxMemoryBytes};
	setrlimit(RLIMIT_FSIZE, &file);
	if (drop && (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0))
		_exit(127);
	setsid();
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, nullptr);
	signal(SIGPIPE, SIG_DFL);
	dup2(question, 0);
	dup2(answer, 1);
	dup2(errors, 2);
	syscall(SYS_close_range, 3U, ~0U, 0U);
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

void Leaves::judge(const std::string &id, const Value &steps, const std::string &leave, const std::string &swarm, Done done) {
	if (asked_.size() >= kMaxAsked)
		return done(Outcome::failed("too much leave is being judged"));
	Encoder question;
	question.text(id).value(steps).bytes(leave).text(swarm);
	asked_.push_back({question.data(), std::move(done)});
	if (asked_.size() == 1)
		next();
}

void Leaves::next() {
	if (asked_.empty())
		return;
	std::string memory, why;
	if (access((directory_ + "/" + kMemory).c_str(), F_OK) == 0 && !read_whole(directory_ + "/" + kMemory, kMaxMemoryBytes, &memory))
		return answered(Outcome::failed("what was kept of earlier leave cannot be read"));
	Encoder whole;
	whole.array(6).splice(asked_.front().question).bytes(memory).number(owned_);
	if (!start(whole.data(), &why))
		answered(Outcome::failed("leave cannot be judged: " + why));
}

bool Leaves::start(const std::string &question, std::string *why) {
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

bool Leaves::ended(pid_t pid, int status) {
	if (pid_ == 0 || pid != pid_)
		return false;
	pid_ = 0;
	loop_.cancel(timeout_);
	std::string said = memory_content(answer_.get(), kMaxMemoryBytes), errors = memory_content(errors_.get(), kMaxWhyBytes);
	answer_.reset();
	errors_.reset();
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		answered(said.size() > kMaxMemoryBytes ? Outcome::failed("what is to be kept of leave is too much") : write_durably(directory_, kMemory, said));
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		answered(Outcome::refused("its leave does not hold: " + (said.empty() ? errors : said).substr(0, kMaxWhyBytes)));
	else
		answered(Outcome::failed("leave cannot be judged: " + (errors.empty() ? program_ + " gives no answer" : errors.substr(0, kMaxWhyBytes))));
	return true;
}

void Leaves::answered(Outcome outcome) {
	Done done = std::move(asked_.front().done);
	asked_.pop_front();
	done(std::move(outcome));
	if (pid_ == 0)
		next();
}
