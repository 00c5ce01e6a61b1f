// SPDX-License-Identifier: Apache-2.0
// What is seen of an agent that hangs, when it is killed, and how this loop reports that it turns.
#include "watch.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "files.h"

namespace {

constexpr int64_t kHourMs = 3600000;
constexpr size_t kMaxEndedAnHour = 5;
constexpr size_t kKept = 16;
constexpr int64_t kLooksALimit = 6;
constexpr int64_t kStarvedLimits = 3; // how many limits an agent may hang that gets no CPU
constexpr int64_t kFirstPauseMs = 500, kMaxPauseMs = 30000;
constexpr int64_t kPingMs = 5000;
constexpr int kWatchdogSeconds = 60;
constexpr size_t kMaxSeen = 2000;
constexpr size_t kMaxThreads = 256; // looked at

std::string of_process(pid_t pid, const char *file) {
	std::string text;
	read_whole("/proc/" + std::to_string(pid) + "/" + file, 4096, &text);
	while (!text.empty() && (text.back() == '\n' || text.back() == '\0'))
		text.pop_back();
	return text;
}

// From the status of a process: "State", "TracerPid".
std::string status_of(pid_t pid, const std::string &name) {
	std::string text = "\n" + of_process(pid, "status");
	size_t at = text.find("\n" + name + ":");
	if (at == std::string::npos)
		return "";
	at = text.find_first_not_of(" \t", at + name.size() + 2);
	return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

// Of its main thread: how long it ran, and was ready and had no CPU (Documentation/scheduler/sched-stats.rst).
void cpu_of(pid_t pid, int64_t *ran_ns, int64_t *waited_ns) {
	std::string text = of_process(pid, "schedstat");
	char *end = nullptr;
	*ran_ns = strtoll(text.c_str(), &end, 10);
	*waited_ns = strtoll(end, nullptr, 10);
}

// What the kernel shows of where it is; as far as this process may see it. Other threads where they wait in the kernel: a disk.
std::string seen_of(pid_t pid) {
	std::string words = "state " + status_of(pid, "State");
	for (const char *file : {"wchan", "syscall", "stack"}) {
		std::string text = of_process(pid, file);
		std::replace(text.begin(), text.end(), '\n', ' ');
		if (!text.empty() && text != "0")
			words += std::string(", ") + file + " " + text;
	}
	Directory tasks(("/proc/" + std::to_string(pid) + "/task").c_str());
	size_t looked = 0;
	while (const char *name = ++looked > kMaxThreads ? nullptr : tasks.next()) {
		std::string thread = "task/" + std::string(name) + "/", state = of_process(pid, (thread + "stat").c_str());
		size_t paren = state.rfind(')');
		if (paren != std::string::npos && state.compare(paren, 3, ") D") == 0)
			words += ", thread " + std::string(name) + " in " + of_process(pid, (thread + "wchan").c_str());
	}
	return words.substr(0, kMaxSeen);
}

} // namespace

AgentWatch::AgentWatch(Loop &loop, std::string directory, int64_t limit_ms, bool is_parent, std::function<void(const std::string &)> note)
    : loop_(loop), directory_(std::move(directory)), limit_ms_(limit_ms), is_parent_(is_parent), note_(std::move(note)) {
	std::string bytes;
	Value saved;
	const char *why;
	if (read_whole(directory_ + "/stalls", kMaxFrameBytes, &bytes) && decode_cbor(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), &saved, &why))
		for (const Value &one : saved.items)
			if (one.items.size() == 4)
				stalls_.push_back({one.items[0].number, one.items[1].number, one.items[2].number != 0, one.items[3].text});
	looked_ms_ = Loop::awake_ms();
	look();
}

void AgentWatch::beat(pid_t pid, int64_t flags) {
	if (pid != agent_.pid)
		agent_ = {pid, 0};
	if (agent_.start_ticks == 0 && !read_process(pid, &agent_.start_ticks, nullptr, nullptr))
		return;
	flags_ = flags;
	beat_ms_ = Loop::awake_ms();
	cpu_of(pid, &ran_ns_, &waited_ns_);
	reported_ = false;
}

void AgentWatch::gone() { agent_ = {0, 0}; }

void AgentWatch::look() {
	int64_t every_ms = std::max<int64_t>(limit_ms_ / kLooksALimit, 50), now = Loop::awake_ms();
	bool blind = now - looked_ms_ > 2 * every_ms + 1000; // this process hung, or the whole machine
	looked_ms_ = now;
	loop_.after(every_ms, [this] { look(); });
	if (agent_.pid <= 1 || reported_)
		return;
	if (blind)
		beat_ms_ = now;
	int64_t still_ms = now - beat_ms_;
	if (still_ms < limit_ms_ || !lives(agent_))
		return;
	int64_t ran_ns, waited_ns;
	cpu_of(agent_.pid, &ran_ns, &waited_ns);
	bool starved = (waited_ns - waited_ns_) / 1000000 > still_ms / 2;
	if (starved && still_ms < kStarvedLimits * limit_ms_)
		return;
	stalled(still_ms);
}

void AgentWatch::stalled(int64_t lasted_ms) {
	reported_ = true;
	pid_t pid = agent_.pid;
	std::string tracer = status_of(pid, "TracerPid");
	bool traced = !tracer.empty() && tracer != "0";
	bool again = is_parent_ || (flags_ & kStartedAgain) != 0;
	int64_t ran_ns, waited_ns;
	cpu_of(pid, &ran_ns, &waited_ns);
	std::string seen = "meanwhile it ran for " + std::to_string((ran_ns - ran_ns_) / 1000000) + " ms, and waited " + std::to_string((waited_ns - waited_ns_) / 1000000) + " ms for a CPU; " + seen_of(pid);
	bool debugged = (flags_ & kDebugged) != 0;
	if (traced || debugged || !again || ended_of_late() >= kMaxEndedAnHour) {
		std::string why = "it was already killed " + std::to_string(kMaxEndedAnHour) + " times within an hour";
		if (traced)
			why = "pid " + tracer + " traces it";
		else if (debugged)
			why = "a debugger is attached";
		else if (!again)
			why = "nothing would restart it";
		return keep(lasted_ms, false, "not killed: " + why + "; " + seen);
	}
	Outcome ended = process_signal(agent_, SIGKILL);
	keep(lasted_ms, ended.ok(), ended.ok() ? seen : "it could not be killed: " + ended.message + "; " + seen);
}

void AgentWatch::keep(int64_t lasted_ms, bool ended, const std::string &words) {
	note_("the agent (pid " + std::to_string(agent_.pid) + ") sent no heartbeat for " + std::to_string(lasted_ms / 1000) + " s" + (ended ? ": killed; " : "; ") + words);
	stalls_.push_back({Loop::wall_ms(), lasted_ms, ended, words});
	if (stalls_.size() > kKept)
		stalls_.erase(stalls_.begin());
	Encoder record;
	encode(&record);
	Outcome saved = write_durably(directory_, "stalls", record.data());
	if (!saved.ok())
		note_(saved.message);
}

void AgentWatch::encode(Encoder *answer) const {
	answer->array(stalls_.size());
	for (const Stall &one : stalls_)
		answer->array(4).number(one.at_ms).number(one.lasted_ms).number(one.ended).text(one.words);
}

size_t AgentWatch::ended_of_late() const {
	int64_t now = Loop::wall_ms(); // of an earlier life of this process, too
	return static_cast<size_t>(std::count_if(stalls_.begin(), stalls_.end(), [now](const Stall &one) { return one.ended && one.at_ms <= now && now - one.at_ms < kHourMs; }));
}

int64_t AgentWatch::pause_ms() const {
	size_t before = ended_of_late();
	return before == 0 ? 0 : std::min(kMaxPauseMs, kFirstPauseMs << before);
}

bool Alive::open(std::string *why) {
	if (watchdog_path_.empty())
		return true;
	watchdog_ = Fd(::open(watchdog_path_.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
	if (!watchdog_.ok()) {
		*why = watchdog_path_ + ": " + strerror(errno);
		return false;
	}
	int seconds = kWatchdogSeconds;
	(void)!ioctl(watchdog_.get(), WDIOC_SETTIMEOUT, &seconds); // else its own, a minute by default
	return true;
}

void Alive::ready() {
	const char *socket = getenv("NOTIFY_SOCKET"), *period = getenv("WATCHDOG_USEC");
	systemd_ = socket == nullptr ? "" : socket;
	int64_t period_ms = period == nullptr ? 0 : strtoll(period, nullptr, 10) / 1000;
	unsetenv("NOTIFY_SOCKET"); // not for an agent that is its child
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	notify("READY=1");
	if (period_ms > 0)
		repeat(std::max<int64_t>(period_ms / 2, 100), [this] { notify("WATCHDOG=1"); });
	if (watchdog_.ok())
		repeat(kPingMs, [this] { ping(); });
}

void Alive::repeat(int64_t every_ms, std::function<void()> what) {
	what();
	loop_.after(every_ms, [this, every_ms, what] { repeat(every_ms, what); });
}

void Alive::notify(const std::string &text) {
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	if (systemd_.empty() || systemd_.size() >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, systemd_.data(), systemd_.size());
	if (address.sun_path[0] == '@')
		address.sun_path[0] = '\0';
	Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (!fd.ok())
		return;
	socklen_t length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + systemd_.size());
	(void)!sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr *>(&address), length);
}

void Alive::ping() {
	if (watchdog_.ok())
		(void)!write(watchdog_.get(), "", 1);
}

void Alive::stopping() { notify("STOPPING=1"); }

void Alive::stopped() {
	if (watchdog_.ok())
		(void)!write(watchdog_.get(), "V", 1);
	watchdog_.reset();
}
