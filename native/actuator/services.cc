// SPDX-License-Identifier: Apache-2.0
#include "services.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "machine.h"

namespace {

constexpr size_t kMaxServices = 256;
constexpr size_t kMaxArguments = 256;
constexpr int64_t kLogCheckMs = 5000;
constexpr int kLogsKept = 3;
constexpr int kForgetAttempts = 20;
constexpr int64_t kForgetMs = 50;
// In the record of a service. 0.3.0 wrote 1 for every stop, a person's and the actuator's own: it cannot tell, so it is read as 0,
// which leads back to what is declared. To 0.3.0 all but 0 is on purpose.
constexpr int64_t kDownByPerson = 2;
constexpr int64_t kOnceMemory = int64_t{1} << 30;

bool texts(const Value &value, size_t most, std::vector<std::string> *out) {
	if (!value.is(Value::kArray) || value.items.size() > most)
		return false;
	for (const Value &item : value.items) {
		if (!item.is(Value::kText))
			return false;
		out->push_back(item.text);
	}
	return true;
}

// Copies the log and empties it: the service keeps its descriptor. Lines written in between may be lost.
void rotate_log(const std::string &path, uid_t owner) {
	for (int i = kLogsKept; i > 1; i--)
		rename((path + "." + std::to_string(i - 1)).c_str(), (path + "." + std::to_string(i)).c_str());
	int from = open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	int to = open((path + ".1").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	char buffer[65536];
	ssize_t got = 0;
	bool whole = from >= 0 && to >= 0 && fchown(to, owner, static_cast<gid_t>(-1)) == 0;
	while (whole && (got = read(from, buffer, sizeof buffer)) > 0)
		whole = write(to, buffer, static_cast<size_t>(got)) == got;
	if (whole && got == 0 && ftruncate(from, 0) != 0)
		whole = false;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
}

} // namespace

std::string boot_id() {
	std::string id;
	read_whole("/proc/sys/kernel/random/boot_id", 64, &id);
	return id.substr(0, id.find('\n'));
}

Services::Services(Loop &loop, const Policy &policy, std::string directory, uid_t agent_uid, std::function<void(const std::string &, bool)> changed)
    : loop_(loop), policy_(policy), directory_(std::move(directory)), boot_(boot_id()), agent_uid_(agent_uid), changed_(std::move(changed)) {
	rotate_logs();
}

Outcome Services::parse(const Value &value, ServiceSpec *spec) const {
	const auto &items = value.items;
	const Value::Kind kinds[] = {Value::kText, Value::kArray, Value::kText, Value::kArray, Value::kText, Value::kArray, Value::kNumber, Value::kNumber, Value::kText, Value::kNumber, Value::kNumber, Value::kNumber};
	if (!value.is(Value::kArray) || items.size() > std::size(kinds) || items.size() + 1 < std::size(kinds)) // the last was added
		return Outcome::refused("a service is a list of eleven or twelve fields");
	for (size_t i = 0; i < items.size(); i++)
		if (!items[i].is(kinds[i]))
			return Outcome::refused("a field of a service is of the wrong kind");
	spec->name = items[0].text;
	spec->directory = items[2].text;
	spec->user = items[4].text;
	spec->cpu_milli = items[6].number;
	spec->memory_bytes = items[7].number;
	spec->stop_signal = signal_number(items[8].text);
	spec->stop_grace_ms = items[9].number;
	spec->log_bytes = items[10].number;
	spec->fenced = items.size() > 11 && items[11].number != 0;
	if (!is_plain_name(spec->name) || spec->name.find(':') != std::string::npos)
		return Outcome::refused("a service needs a plain name");
	if (!texts(items[1], kMaxArguments, &spec->argv) || spec->argv.empty() || spec->argv[0].empty())
		return Outcome::refused(spec->name + ": a command is 1 to 256 arguments");
	if (!texts(items[3], kMaxArguments, &spec->environment))
		return Outcome::refused(spec->name + ": the environment is a list of KEY=value");
	for (const Value &limit : items[5].items) {
		bool pair = limit.is(Value::kArray) && limit.items.size() == 2 && limit.items[0].is(Value::kText) && limit.items[1].is(Value::kNumber);
		int resource = pair ? resource_number(limit.items[0].text) : -1;
		if (resource < 0 || limit.items[1].number < 0)
			return Outcome::refused(spec->name + ": not a limit");
		spec->limits.emplace_back(resource, limit.items[1].number);
	}
	bool sane = spec->cpu_milli >= 0 && spec->memory_bytes >= 0 && spec->stop_signal > 0 && spec->stop_grace_ms >= 0 && spec->stop_grace_ms <= 600000 && spec->log_bytes >= 4096;
	return sane ? Outcome::fine() : Outcome::refused(spec->name + ": a number or a signal that cannot be");
}

Outcome Services::declare(const Value &specs) {
	Outcome taken = take(specs);
	if (!taken.ok())
		return taken;
	Encoder record;
	record.value(specs);
	write_durably(directory_, "declared", record.data()); // for an actuator that starts without its agent, which declares them again
	return taken;
}

void Services::recall() {
	std::string bytes;
	Value specs;
	const char *why;
	if (read_whole(directory_ + "/declared", kMaxFrameBytes, &bytes) && decode_cbor(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), &specs, &why))
		take(specs);
}

Outcome Services::take(const Value &specs) {
	std::vector<ServiceSpec> parsed;
	if (!specs.is(Value::kArray) || specs.items.size() > kMaxServices)
		return Outcome::refused("at most 256 services");
	for (const Value &value : specs.items) {
		ServiceSpec spec;
		Outcome outcome = parse(value, &spec);
		if (!outcome.ok())
			return outcome;
		parsed.push_back(std::move(spec));
	}
	for (ServiceSpec &spec : parsed) {
		auto &service = services_[spec.name];
		bool known = service != nullptr;
		if (!known)
			service = std::make_unique<Service>();
		service->spec = std::move(spec);
		if (!known) {
			service->since_ms = Loop::wall_ms();
			adopt(service.get());
		}
	}
	return Outcome::fine();
}

// One that an actuator before this one started: it is known by pid and start time, and its end by a pidfd.
void Services::adopt(Service *service) {
	std::string bytes;
	Value saved;
	const char *why;
	if (!read_whole(directory_ + "/" + service->spec.name + ".run", 4096, &bytes) ||
	    !decode_cbor(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), &saved, &why) || saved.items.size() < 6 || saved.items.size() > 7)
		return;
	service->starts = saved.items[4].number;
	if (saved.items[5].number == kDownByPerson)
		service->down_by = kPerson;
	if (saved.items.size() == 7)
		service->fence = saved.items[6].number;
	ProcessId process{static_cast<pid_t>(saved.items[2].number), saved.items[3].number};
	if (service->spec.fenced) { // it died with the actuator that held it; so must what it had started
		service->lapsed = service->down_by == kNobody;
		int64_t ticks = process.start_ticks;
		bool same = !read_process(process.pid, &ticks, nullptr, nullptr) || ticks == process.start_ticks; // its number is nobody else's
		if (saved.items[1].text == boot_ && process.pid > 1 && same)
			kill(-process.pid, SIGKILL);
		return;
	}
	if (saved.items[1].text != boot_ || process.pid <= 1)
		return; // another boot, or it was not running
	int pidfd = lives(process) ? static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)) : -1;
	if (pidfd < 0 || !lives(process)) {
		if (pidfd >= 0)
			close(pidfd);
		service->state = kExited; // while nobody looked
		return;
	}
	service->pid = process.pid;
	service->start_ticks = process.start_ticks;
	service->pidfd = pidfd;
	service->state = kRunning;
	loop_.watch(pidfd, POLLIN, [this, service](short) { ended(service, -1, 0); });
}

Outcome Services::record(const Service &service) const {
	Encoder record;
	record.array(7).number(2).text(boot_).number(service.pid).number(service.start_ticks).number(service.starts).number(service.down_by == kPerson ? kDownByPerson : 0).number(service.fence);
	return write_durably(directory_, service.spec.name + ".run", record.data());
}

Outcome Services::identity(const ServiceSpec &spec, uid_t *uid, gid_t *gid, std::string *name, std::string *home) const {
	const passwd *agent = getpwuid(agent_uid_);
	std::string own = agent == nullptr ? "" : agent->pw_name;
	const passwd *user = spec.user.empty() ? agent : getpwnam(spec.user.c_str());
	if (user == nullptr && !spec.user.empty())
		return Outcome::refused(spec.name + ": no user " + spec.user);
	*uid = user == nullptr ? agent_uid_ : user->pw_uid;
	*gid = user == nullptr ? static_cast<gid_t>(agent_uid_) : user->pw_gid;
	*name = user == nullptr ? "" : user->pw_name;
	*home = user == nullptr ? "/" : user->pw_dir;
	if (*uid != agent_uid_ && !policy_.allows_user(*name))
		return Outcome::refused(spec.name + ": the actuator's policy does not allow services as " + *name);
	if (*uid != geteuid() && geteuid() != 0)
		return Outcome::refused(spec.name + ": only root can run it as " + *name);
	return Outcome::fine();
}

Outcome Services::check(const std::string &name) const {
	auto found = services_.find(name);
	uid_t uid;
	gid_t gid;
	std::string user, home;
	if (found == services_.end())
		return Outcome::not_found("no service " + name);
	return identity(found->second->spec, &uid, &gid, &user, &home);
}

// In the child: everything that the program must not inherit is gone when it begins.
void Services::become(const ServiceSpec &spec, int64_t fence, pid_t parent, int log, int failed) const {
	uid_t uid = 0;
	gid_t gid = 0;
	std::string user, home;
	auto give_up = [&](const char *what) {
		std::string text = std::string(what) + ": " + strerror(errno);
		(void)!write(failed, text.data(), text.size());
		_exit(127);
	};
	setsid();
	reset_signals();
	if (!identity(spec, &uid, &gid, &user, &home).ok())
		give_up("user");
	int null = open("/dev/null", O_RDONLY);
	if (null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		give_up("log");
	if (spec.once) {
		rlimit none{0, 0};
		setrlimit(RLIMIT_CORE, &none);
		if (geteuid() == 0 && unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
			give_up("sandbox");
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
			give_up("sandbox");
	}
	for (auto [resource, value] : spec.limits) {
		rlimit limit{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
		if (setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0)
			give_up("limit");
	}
	if (geteuid() == 0 && ((user.empty() ? setgroups(0, nullptr) : initgroups(user.c_str(), gid)) != 0 || setgid(gid) != 0 || setuid(uid) != 0))
		give_up("user");
	if (!spec.directory.empty() && chdir(spec.directory.c_str()) != 0)
		give_up(spec.directory.c_str());
	clearenv();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", home.c_str(), 1);
	setenv("LANG", "C.UTF-8", 1);
	if (!user.empty())
		setenv("USER", user.c_str(), 1);
	for (const std::string &pair : spec.environment) {
		size_t equals = pair.find('=');
		if (equals != std::string::npos && equals > 0)
			setenv(pair.substr(0, equals).c_str(), pair.c_str() + equals + 1, 1);
	}
	if (spec.fenced) {
		setenv("KALOS_FENCE", std::to_string(fence).c_str(), 1);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
			give_up("its end with the actuator");
	}
	std::vector<char *> argv;
	for (const std::string &argument : spec.argv)
		argv.push_back(const_cast<char *>(argument.c_str()));
	argv.push_back(nullptr);
	rlimit memory{kOnceMemory, kOnceMemory};
	if (spec.once && setrlimit(RLIMIT_AS, &memory) != 0)
		give_up("sandbox");
	close_others();
	execvp(argv[0], argv.data());
	give_up(argv[0]);
	_exit(127);
}

Outcome Services::start(const std::string &name) {
	Outcome allowed = check(name);
	if (!allowed.ok())
		return allowed;
	Service *service = services_[name].get();
	const ServiceSpec &spec = service->spec;
	if (service->state == kRunning)
		return Outcome::fine();
	if (spec.fenced && service->held_until_ms <= Loop::now_ms())
		return Outcome::refused(name + " is not placed on this machine: it runs on one member at a time");
	std::string path = directory_ + "/" + name + ".log";
	int log = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	bool logless = log < 0 && refuses_writes(errno); // a service is worth more than its log
	if (logless)
		log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int pipe[2] = {-1, -1};
	if (log < 0 || (!logless && fchown(log, agent_uid_, static_cast<gid_t>(-1)) != 0 && !refuses_writes(errno)) || pipe2(pipe, O_CLOEXEC) != 0)
		return Outcome::error(path, errno);
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become(spec, service->fence, self, log, pipe[1]);
	int error = errno;
	close(log);
	close(pipe[1]);
	char text[512];
	ssize_t told = pid < 0 ? 0 : read(pipe[0], text, sizeof text); // ends when exec succeeds
	close(pipe[0]);
	if (pid < 0)
		return Outcome::error("fork", error);
	if (told > 0) {
		waitpid(pid, nullptr, 0);
		service->state = kExited;
		service->exit_code = 127;
		service->down_by = kNobody;
		service->since_ms = Loop::wall_ms();
		changed_(name, false);
		return Outcome::failed(std::string(text, static_cast<size_t>(told)));
	}
	service->pid = pid;
	read_process(pid, &service->start_ticks, nullptr, nullptr);
	service->state = kRunning;
	service->exit_code = -1;
	service->exit_signal = 0;
	service->starts++;
	service->since_ms = Loop::wall_ms();
	service->told_to_stop = false;
	service->down_by = kNobody;
	service->unrecorded = !record(*service).ok(); // tried again: it runs, and that is what counts
	std::string missing;
	if (logless)
		missing = "its log cannot be written: it runs without one";
	if (spec.cpu_milli > 0 && !cgroup_write(name, "cpu", spec.cpu_milli, pid).ok())
		missing = "no cgroup controller for cpu: its limit does not hold";
	if (spec.memory_bytes > 0 && !cgroup_write(name, "memory", spec.memory_bytes, pid).ok())
		missing = "no cgroup controller for memory: its limit does not hold";
	changed_(name, false);
	return Outcome{Outcome::kOk, missing};
}

Outcome Services::spawn(const std::string &name, const std::string &user, const std::vector<std::string> &argv, int64_t timeout_ms) {
	if (services_.count(name) > 0)
		return Outcome::refused(name + " was spawned already");
	auto service = std::make_unique<Service>();
	service->spec.name = name;
	service->spec.argv = argv;
	service->spec.user = user;
	service->spec.once = true;
	services_[name] = std::move(service);
	Outcome started = start(name);
	if (!started.ok()) {
		services_.erase(name);
		return started;
	}
	loop_.after(timeout_ms, [this, name] { stop(name, [](Outcome) {}); });
	// Remembered long enough to be asked about.
	loop_.after(timeout_ms + 600000, [this, name] {
		auto found = services_.find(name);
		if (found != services_.end() && found->second->state != kRunning) {
			unlink((directory_ + "/" + name + ".run").c_str());
			services_.erase(found);
		}
	});
	return started;
}

void Services::kill_group(const Service &service, int signal) const {
	// A session of its own: the group is named by the leader's pid, which is not reused before it is reaped.
	if (lives({service.pid, service.start_ticks}))
		kill(-service.pid, signal);
}

void Services::stop(const std::string &name, Done done) {
	auto found = services_.find(name);
	if (found == services_.end())
		return done(Outcome::not_found("no service " + name));
	Service *service = found->second.get();
	service->told_to_stop = true;
	if (service->state != kRunning) {
		service->state = kStopped;
		service->since_ms = Loop::wall_ms();
		Outcome recorded = record(*service);
		changed_(name, false);
		return done(recorded);
	}
	service->stopping.push_back(std::move(done));
	if (service->stopping.size() > 1)
		return;
	kill_group(*service, service->spec.stop_signal);
	kill_group(*service, SIGCONT); // a frozen one would never see it
	service->killer = loop_.after(service->spec.stop_grace_ms, [this, service] { kill_group(*service, SIGKILL); });
}

Outcome Services::intend(const std::string &name, Intent by) {
	auto found = services_.find(name);
	bool down = found != services_.end() && found->second->state == kStopped; // else it runs again: that was a restart
	if (!down || found->second->down_by == by || (by == kNobody && found->second->down_by != kPending))
		return Outcome::fine();
	found->second->down_by = by;
	Outcome recorded = record(*found->second);
	changed_(name, false);
	return recorded;
}

// Those started last first.
void Services::stop_all(std::function<void()> done) {
	std::vector<std::pair<int64_t, std::string>> running;
	for (const auto &[name, service] : services_)
		if (service->state == kRunning)
			running.emplace_back(-service->start_ticks * 1000000 - service->pid, name);
	std::sort(running.begin(), running.end());
	auto next = std::make_shared<std::function<void(size_t)>>();
	*next = [this, running, done, next](size_t i) {
		if (i == running.size()) {
			loop_.after(0, [next] { *next = nullptr; });
			return done();
		}
		stop(running[i].second, [next, i](Outcome) { (*next)(i + 1); });
	};
	(*next)(0);
}

void Services::ended(Service *service, int code, int signal) {
	if (service->state != kRunning)
		return;
	if (service->pidfd >= 0) {
		loop_.unwatch(service->pidfd);
		close(service->pidfd);
		service->pidfd = -1;
	}
	loop_.cancel(service->killer);
	forget_group(service->spec.name, kForgetAttempts);
	service->state = service->told_to_stop ? kStopped : kExited;
	service->exit_code = code;
	service->exit_signal = signal;
	service->pid = 0;
	service->since_ms = Loop::wall_ms();
	Outcome recorded = record(*service);
	service->unrecorded = !recorded.ok();
	std::vector<Done> waiting;
	waiting.swap(service->stopping);
	std::string name = service->spec.name;
	changed_(name, service->state == kExited && !service->spec.once);
	for (Done &done : waiting)
		done(recorded);
}

void Services::reap() {
	for (;;) {
		siginfo_t info{};
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
			return;
		pid_t pid = info.si_pid;
		Service *service = nullptr;
		for (const auto &[name, one] : services_)
			if (one->state == kRunning && one->pid == pid && one->pidfd < 0)
				service = one.get();
		if (service != nullptr)
			kill(-pid, SIGKILL); // what it leaves behind ends with it; not reaped yet, so the group is still its own
		int status = 0;
		waitpid(pid, &status, 0);
		if (service != nullptr) {
			ended(service, WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		} else if (!helper_ended(pid, status) && on_other) {
			on_other(pid, status);
		}
	}
}

std::string Services::owner_of(pid_t pid) const {
	pid_t session = getsid(pid);
	for (const auto &[name, service] : services_)
		if (service->state == kRunning && (service->pid == pid || (session > 1 && service->pid == session)))
			return name;
	return "";
}

pid_t Services::pid_of(const std::string &name) const {
	auto found = services_.find(name);
	return found == services_.end() || found->second->state != kRunning ? 0 : found->second->pid;
}

std::vector<std::string> Services::names() const {
	std::vector<std::string> names;
	for (const auto &[name, service] : services_)
		names.push_back(name);
	return names;
}

void Services::encode(const std::string &name, Encoder *answer) const {
	const char *const states[] = {"stopped", "running", "exited"};
	const Service &service = *services_.at(name);
	answer->array(9).text(name).text(states[service.state]).number(service.pid).number(service.pid == 0 ? 0 : service.start_ticks);
	answer->number(service.exit_code).number(service.exit_signal).number(service.starts).number(service.since_ms);
	// Not this machine's to start. One that is held and does not run is no different from any other.
	bool elsewhere = service.spec.fenced && service.state == kStopped && (service.lapsed || service.held_until_ms <= Loop::now_ms());
	answer->number(elsewhere || service.down_by == kPending ? kPerson : service.down_by);
}

// What was killed with the service may take a moment to leave the group.
void Services::forget_group(const std::string &name, int attempts) {
	if (!cgroup_forget(name) && attempts > 0)
		loop_.after(kForgetMs, [this, name, attempts] { forget_group(name, attempts - 1); });
}

void Services::rotate_logs() {
	for (const auto &[name, service] : services_) {
		struct stat at;
		std::string path = directory_ + "/" + name + ".log";
		if (stat(path.c_str(), &at) == 0 && at.st_size > service->spec.log_bytes)
			rotate_log(path, agent_uid_);
		if (service->unrecorded)
			service->unrecorded = !record(*service).ok();
	}
	loop_.after(kLogCheckMs, [this] { rotate_logs(); });
}
