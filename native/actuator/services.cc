// SPDX-License-Identifier: Apache-2.0
// The life of a service: declared, started, adopted after a restart of the actuator, stopped, reaped; its record and its log.
#include "services.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fd.h"
#include "files.h"
#include "machine.h"

namespace {

constexpr size_t kMaxServices = 256;
constexpr size_t kMaxKnown = 2 * kMaxServices; // with those of earlier agents, that still run
constexpr size_t kMaxArguments = 256;
constexpr size_t kMaxSpecBytes = 128 << 10; // of the command and the environment of one
constexpr int64_t kLogCheckMs = 5000;
constexpr int kLogsKept = 3;
constexpr int kForgetAttempts = 20;
constexpr int64_t kForgetMs = 50;
// In the record of a service. 0.3.0 wrote 1 for every stop, a person's and the actuator's own: it cannot tell, so it is read as 0,
// which leads back to what is declared. To 0.3.0 all but 0 is on purpose.
constexpr int64_t kDownByPerson = 2;
constexpr int64_t kKilledWithinMs = 10000;
constexpr int64_t kRememberedMs = 600000;

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
Outcome rotate_log(const std::string &path, uid_t owner) {
	for (int i = kLogsKept; i > 1; i--)
		rename((path + "." + std::to_string(i - 1)).c_str(), (path + "." + std::to_string(i)).c_str());
	struct stat at, copy;
	int opening = O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NONBLOCK;
	Fd from(open(path.c_str(), O_RDWR | opening)), to(open((path + ".1").c_str(), O_WRONLY | O_CREAT | O_TRUNC | opening, 0640));
	if (!from.ok() || !to.ok() || fstat(from.get(), &at) != 0 || fstat(to.get(), &copy) != 0 || !S_ISREG(at.st_mode) || !S_ISREG(copy.st_mode) ||
	    fchown(to.get(), owner, static_cast<gid_t>(-1)) != 0)
		return Outcome::error(path, errno);
	Outcome copied = copy_bytes(from.get(), to.get());
	return copied.ok() && ftruncate(from.get(), 0) != 0 ? Outcome::error(path, errno) : copied;
}

} // namespace

std::string boot_id() {
	std::string id;
	read_whole("/proc/sys/kernel/random/boot_id", 64, &id);
	return id.substr(0, id.find('\n'));
}

Services::Services(Loop &loop, const Policy &policy, std::string directory, uid_t agent_uid, int64_t answer_within_ms, std::function<void(const std::string &, bool)> changed)
    : loop_(loop), apart_(loop), policy_(policy), directory_(std::move(directory)), boot_(boot_id()), agent_uid_(agent_uid), answer_within_ms_(answer_within_ms), changed_(std::move(changed)) {
	recall_users();
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
	size_t bytes = 0;
	for (const std::vector<std::string> *texts : {&spec->argv, &spec->environment})
		for (const std::string &text : *texts)
			bytes += text.size() + 1;
	if (bytes + spec->directory.size() > kMaxSpecBytes)
		return Outcome::refused(spec->name + ": its command, environment and directory are " + std::to_string(bytes + spec->directory.size()) + " bytes, at most 131072");
	if (items[5].items.size() > kMaxArguments)
		return Outcome::refused(spec->name + ": too many limits");
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
	std::set<uid_t> taken = taken_users();
	for (const Value &value : specs.items) {
		ServiceSpec spec;
		Outcome outcome = parse(value, &spec);
		if (outcome.ok() && spec.user.empty())
			outcome = own_user(spec.name, &taken, &spec.own_uid);
		if (!outcome.ok())
			return outcome;
		parsed.push_back(std::move(spec));
	}
	Outcome room = make_room(parsed);
	if (!room.ok())
		return room;
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

// An agent may declare others each time. What is declared no longer, and neither runs nor is about to, is forgotten where there are too many.
Outcome Services::make_room(const std::vector<ServiceSpec> &declared) {
	std::set<std::string> names;
	for (const ServiceSpec &spec : declared)
		names.insert(spec.name);
	std::vector<std::string> idle;
	size_t known = names.size();
	for (const auto &[name, service] : services_) {
		if (service->spec.once || names.count(name) > 0)
			continue;
		known++;
		if (service->state != kRunning && service->pid == 0 && !service->beginning.ok() && !service->late && !service->rotating && service->stopping.empty() && service->starting.empty())
			idle.push_back(name);
	}
	while (known > kMaxServices && !idle.empty()) {
		loop_.cancel(services_[idle.back()]->lease);
		services_.erase(idle.back());
		idle.pop_back();
		known--;
	}
	return known > kMaxKnown ? Outcome::refused("too many services: " + std::to_string(known) + " with those that were declared before and still run, at most 512") : Outcome::fine();
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
		bool same = !read_process(process.pid, &ticks, nullptr, nullptr) || ticks == process.start_ticks; // no other process has its number
		if (saved.items[1].text == boot_ && process.pid > 1 && same)
			kill(-process.pid, SIGKILL);
		return;
	}
	if (saved.items[1].text != boot_ || process.pid <= 1)
		return; // another boot, or it was not running
	Fd pidfd(lives(process) ? static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)) : -1);
	if (!pidfd.ok() || !lives(process)) {
		service->state = kExited; // while no actuator ran
		return;
	}
	service->pid = process.pid;
	service->start_ticks = process.start_ticks;
	service->pidfd = std::move(pidfd);
	service->state = kRunning;
	loop_.watch(service->pidfd.get(), POLLIN, [this, service](short) { ended(service, -1, 0); });
}

Outcome Services::record(const Service &service) const {
	Encoder record;
	record.array(7).number(2).text(boot_).number(service.pid).number(service.start_ticks).number(service.starts).number(service.down_by == kPerson ? kDownByPerson : 0).number(service.fence);
	return write_durably(directory_, service.spec.name + ".run", record.data());
}

Outcome Services::check(const std::string &name) const {
	auto found = services_.find(name);
	Identity who;
	return found == services_.end() ? Outcome::not_found("no service " + name) : identity(found->second->spec, &who);
}

Outcome Services::fork_off(Service *service, bool *logless) {
	const ServiceSpec &spec = service->spec;
	std::string path = directory_ + "/" + spec.name + ".log";
	// Its owner is not this process: a lease on it must not hold the open up.
	Fd log(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NONBLOCK, 0640));
	*logless = !log.ok() && (refuses_writes(errno) || errno == EWOULDBLOCK); // a service is worth more than its log
	if (*logless)
		log = Fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	Pipe failure;
	if (!log.ok() || (!*logless && (fcntl(log.get(), F_SETFL, O_APPEND) != 0 || (fchown(log.get(), agent_uid_, static_cast<gid_t>(-1)) != 0 && !refuses_writes(errno)))) ||
	    !failure.open(O_CLOEXEC | O_NONBLOCK))
		return Outcome::error(path, errno);
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become(spec, service->fence, self, log.get(), failure.writes.get());
	if (pid < 0)
		return Outcome::error("fork", errno);
	service->pid = pid;
	service->beginning = std::move(failure.reads);
	return Outcome::fine();
}

void Services::start(const std::string &name, Done done) {
	Outcome allowed = check(name);
	if (!allowed.ok())
		return done(allowed);
	Service *service = services_[name].get();
	if (service->late)
		return done(Outcome::failed(name + ": an earlier start of it was killed, and has not ended yet"));
	if (service->state == kRunning && !service->beginning.ok())
		return done(Outcome::fine());
	if (service->state == kRunning)
		return service->starting.push_back(std::move(done));
	if (service->spec.fenced && service->held_until_ms <= Loop::now_ms())
		return done(Outcome::refused(name + " is not placed on this machine: it runs on one member at a time"));
	keep_user(service->spec);
	bool logless = false;
	Outcome forked = fork_off(service, &logless);
	if (!forked.ok())
		return done(forked);
	read_process(service->pid, &service->start_ticks, nullptr, nullptr);
	service->state = kRunning;
	service->exit_code = -1;
	service->exit_signal = 0;
	service->starts++;
	service->since_ms = Loop::wall_ms();
	service->stop_requested = false;
	service->down_by = kNobody;
	service->unrecorded = !record(*service).ok(); // tried again: it runs, and that is what counts
	service->missing = logless ? "its log cannot be written: it runs without one" : "";
	service->starting.push_back(std::move(done));
	service->begins_by = loop_.after(answer_within_ms_, [this, service] { not_in_time(service); });
	loop_.watch(service->beginning.get(), POLLIN, [this, service](short) { begun(service, false); });
}

void Services::limit_group(Service *service) {
	const ServiceSpec &spec = service->spec;
	if (spec.cpu_milli > 0 && !cgroup_write(spec.name, "cpu", spec.cpu_milli, service->pid).ok())
		service->missing = "no cgroup controller for cpu: its limit does not hold";
	if (spec.memory_bytes > 0 && !cgroup_write(spec.name, "memory", spec.memory_bytes, service->pid).ok())
		service->missing = "no cgroup controller for memory: its limit does not hold";
}

// The program runs, or has said why it does not. over: the process has ended.
void Services::begun(Service *service, bool over) {
	char text[512];
	ssize_t got = read(service->beginning.get(), text, sizeof text); // 0 once exec has succeeded
	if (got < 0 && errno == EAGAIN && !over)
		return;
	loop_.unwatch(service->beginning.get());
	service->beginning.reset();
	loop_.cancel(service->begins_by);
	std::vector<Done> waiting, stopping;
	waiting.swap(service->starting);
	std::string name = service->spec.name;
	Outcome outcome{Outcome::kOk, service->missing};
	if (got > 0) {
		stopping.swap(service->stopping);
		loop_.cancel(service->killer);
		outcome = Outcome::failed(std::string(text, static_cast<size_t>(got)));
		service->pid = 0; // reaped like any other child
		service->starts--;
		service->state = service->stop_requested ? kStopped : kExited;
		service->exit_code = 127;
		service->since_ms = Loop::wall_ms();
		service->unrecorded = !record(*service).ok();
	} else if (!over) {
		limit_group(service);
		outcome.message = service->missing;
	}
	changed_(name, false);
	for (Done &done : waiting)
		done(outcome);
	for (Done &done : stopping)
		done(Outcome::fine());
}

void Services::not_in_time(Service *service) {
	service->late = true;
	loop_.unwatch(service->beginning.get());
	service->beginning.reset();
	kill_group(*service, SIGKILL);
	std::vector<Done> waiting;
	waiting.swap(service->starting);
	std::string why = service->spec.name + ": it did not begin within " + std::to_string(answer_within_ms_) + " ms: its directory or its program does not answer";
	for (Done &done : waiting)
		done(Outcome::failed(why));
}

void Services::spawn(const std::string &name, const std::string &user, const std::vector<std::string> &argv, int64_t timeout_ms, Done done) {
	if (services_.count(name) > 0)
		return done(Outcome::refused(name + " was spawned already"));
	auto service = std::make_unique<Service>();
	service->spec.name = name;
	service->spec.argv = argv;
	service->spec.user = user;
	service->spec.once = true;
	std::set<uid_t> taken = taken_users();
	Outcome own = user.empty() ? own_user(name, &taken, &service->spec.own_uid) : Outcome::fine();
	if (!own.ok())
		return done(own);
	services_[name] = std::move(service);
	start(name, [this, name, timeout_ms, done](Outcome started) {
		if (started.ok())
			loop_.after(timeout_ms, [this, name] { stop(name, [](Outcome) {}); });
		loop_.after(started.ok() ? timeout_ms + kRememberedMs : 0, [this, name] { forget_program(name); });
		done(started);
	});
}

// It was remembered long enough to be asked about.
void Services::forget_program(const std::string &name) {
	auto found = services_.find(name);
	if (found == services_.end())
		return;
	if (found->second->state == kRunning) // it was killed, and has not ended
		return void(loop_.after(kRememberedMs, [this, name] { forget_program(name); }));
	unlink((directory_ + "/" + name + ".run").c_str());
	services_.erase(found);
}

void Services::kill_group(const Service &service, int signal) const {
	// A session of its own: the group is named by the leader's pid, which is not reused before it is reaped.
	// In the instant after the fork it has no session yet.
	if (lives({service.pid, service.start_ticks}) && kill(-service.pid, signal) != 0 && errno == ESRCH)
		kill(service.pid, signal);
}

void Services::stop(const std::string &name, Done done) {
	auto found = services_.find(name);
	if (found == services_.end())
		return done(Outcome::not_found("no service " + name));
	Service *service = found->second.get();
	service->stop_requested = true;
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
	service->killer = loop_.after(service->spec.stop_grace_ms, [this, service] { make_stop(service); });
}

// One that waits in the kernel may not end even so: that is reported to those that wait for its end.
void Services::make_stop(Service *service) {
	kill_group(*service, SIGKILL);
	service->killer = loop_.after(kKilledWithinMs, [service] {
		std::vector<Done> waiting;
		waiting.swap(service->stopping);
		for (Done &done : waiting)
			done(Outcome::failed(service->spec.name + ": it was killed, and does not end"));
	});
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
	if (service->beginning.ok())
		begun(service, true);
	if (service->state != kRunning)
		return;
	service->late = false;
	if (service->pidfd.ok()) {
		loop_.unwatch(service->pidfd.get());
		service->pidfd.reset();
	}
	loop_.cancel(service->killer);
	forget_group(service->spec.name, kForgetAttempts);
	service->state = service->stop_requested ? kStopped : kExited;
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
			if (one->state == kRunning && one->pid == pid && !one->pidfd.ok())
				service = one.get();
		if (service != nullptr)
			kill(-pid, SIGKILL); // what it leaves behind ends with it; not reaped yet, so the group is still its own
		int status = 0;
		waitpid(pid, &status, 0);
		if (service != nullptr) {
			ended(service, WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		} else if (!apart_.ended(pid, status) && !helper_ended(pid, status) && on_other) {
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
		if (!service->rotating && lstat(path.c_str(), &at) == 0 && at.st_size > service->spec.log_bytes) {
			service->rotating = true;
			auto rotate = [path, owner = agent_uid_](Encoder *) { return rotate_log(path, owner); };
			auto rotated = [this, name = name](const Outcome &, const std::string &) {
				auto found = services_.find(name);
				if (found != services_.end())
					found->second->rotating = false;
			};
			apart_.run("log " + name, kCopies * answer_within_ms_, rotate, rotated);
		}
		if (service->unrecorded)
			service->unrecorded = !record(*service).ok();
	}
	loop_.after(kLogCheckMs, [this] { rotate_logs(); });
}
