// SPDX-License-Identifier: Apache-2.0
// Programs that end by themselves soon: nft, systemctl, health checks.
#include "services.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fd.h"
#include "child.h"

namespace {

constexpr size_t kMaxHelpers = 16;
constexpr size_t kMaxHelperText = 4096;

} // namespace

void Services::run_helper(const std::vector<std::string> &argv, const std::string &input, int64_t timeout_ms, Done done) {
	Outcome begun = begin_helper(argv, input, timeout_ms, "", done);
	if (!begun.ok())
		done(Outcome::failed(begun.message));
}

void Services::run_check(const std::string &name, const std::vector<std::string> &argv, int64_t timeout_ms, Done done) {
	auto service = services_.find(name);
	if (service != services_.end())
		keep_user(service->second->spec);
	int64_t late_at_ms = Loop::now_ms() + timeout_ms;
	Done in_time = [done, late_at_ms](Outcome outcome) { done(outcome.ok() || Loop::now_ms() < late_at_ms ? std::move(outcome) : Outcome::gone("it did not end in time, and was ended")); };
	Outcome begun = begin_helper(argv, "", timeout_ms, name, in_time);
	if (!begun.ok())
		done({Outcome::kUnknown, begun.message});
}

Outcome Services::begin_helper(const std::vector<std::string> &argv, const std::string &input, int64_t timeout_ms, const std::string &as_service, const Done &done) {
	Pipe in, out;
	if (helpers_.size() >= kMaxHelpers)
		return Outcome::failed("16 helper programs run already: try again later");
	if (!in.open(O_CLOEXEC) || !out.open(O_CLOEXEC | O_NONBLOCK))
		return Outcome::error("pipe", errno);
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return Outcome::error("fork", errno);
	if (pid == 0) {
		ServiceSpec spec;
		auto service = services_.find(as_service);
		if (service != services_.end()) { // a health check: as its service would see it
			spec = service->second->spec;
			spec.argv = argv;
			spec.limits.clear();
			become(spec, service->second->fence, self, out.writes.get(), out.writes.get());
		}
		setsid();
		reset_signals();
		dup2(in.reads.get(), 0);
		dup2(out.writes.get(), 1);
		dup2(out.writes.get(), 2);
		std::vector<char *> words = pointers_to(argv);
		close_others();
		char *environment[] = {const_cast<char *>("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), const_cast<char *>("LANG=C.UTF-8"), nullptr};
		execve(words[0], words.data(), environment);
		std::string text = argv[0] + ": " + strerror(errno);
		(void)!write(2, text.data(), text.size());
		_exit(127);
	}
	in.reads.reset();                                          // a helper that ends early is an error of the write, not a wait
	(void)!write(in.writes.get(), input.data(), input.size()); // far below what a pipe holds
	Loop::Timer timeout = loop_.after(timeout_ms, [pid] { kill(-pid, SIGKILL), kill(pid, SIGKILL); });
	helpers_[pid] = Helper{std::move(out.reads), "", timeout, done};
	return Outcome::fine();
}

bool Services::helper_ended(pid_t pid, int status) {
	auto helper = helpers_.find(pid);
	if (helper == helpers_.end())
		return false;
	Helper over = std::move(helper->second);
	helpers_.erase(helper);
	char text[kMaxHelperText];
	ssize_t got = read(over.errors.get(), text, sizeof text);
	loop_.cancel(over.timeout);
	std::string said(text, got > 0 ? static_cast<size_t>(got) : 0);
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	over.done(well ? Outcome{Outcome::kOk, said} : Outcome::failed(said.empty() ? "it ended with status " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)) : said));
	return true;
}
