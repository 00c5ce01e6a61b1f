// SPDX-License-Identifier: Apache-2.0
// Processes, sysctls, block devices and cgroups, by way of /proc, /sys and system calls.
#include "machine.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "../fd.h"
#include "files.h"

namespace {

constexpr size_t kMaxValueBytes = 256;
constexpr size_t kMaxProcBytes = 4096;
constexpr int kIoprioProcess = 1;
constexpr int kIoprioShift = 13;
constexpr int64_t kCpuPeriodUs = 100000;

struct Named {
	const char *name;
	int number;
};
const Named kSignals[] = {{"TERM", SIGTERM}, {"KILL", SIGKILL}, {"STOP", SIGSTOP}, {"CONT", SIGCONT}, {"HUP", SIGHUP}, {"INT", SIGINT}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"QUIT", SIGQUIT}};
const Named kResources[] = {{"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"as", RLIMIT_AS}, {"core", RLIMIT_CORE}, {"fsize", RLIMIT_FSIZE}, {"cpu", RLIMIT_CPU}, {"memlock", RLIMIT_MEMLOCK}};

template <size_t Size> int number_of(const Named (&table)[Size], const std::string &name, int missing) {
	for (const Named &row : table)
		if (name == row.name)
			return row.number;
	return missing;
}

// Held open, a pidfd keeps telling of this very process.
class Pinned {
public:
	explicit Pinned(const ProcessId &process) : fd_(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0))) {
		if (fd_.ok() && !lives(process))
			fd_.reset();
	}
	bool ok() const { return fd_.ok(); }
	int fd() const { return fd_.get(); }
	// While true, its pid cannot have gone to another.
	bool alive() const { return syscall(SYS_pidfd_send_signal, fd_.get(), 0, nullptr, 0) == 0 || errno == EPERM; }

private:
	Fd fd_;
};

Outcome gone(const ProcessId &process) { return Outcome::gone("pid " + std::to_string(process.pid) + " is not that process any more"); }

// Calls that name a process by its pid alone: meant for it only if it lived before and after.
template <typename Call> Outcome pinned(const ProcessId &process, const char *what, Call call) {
	Pinned pin(process);
	if (!pin.ok())
		return gone(process);
	if (call() != 0)
		return Outcome::error(what, errno);
	return pin.alive() ? Outcome::fine() : gone(process);
}

std::string base_name(const std::string &path) { return path.substr(path.rfind('/') + 1); }

// Of the program on disk; a process may call itself what it likes.
std::string program_of(pid_t pid) {
	char target[1024];
	std::string link = "/proc/" + std::to_string(pid) + "/exe";
	ssize_t length = readlink(link.c_str(), target, sizeof target);
	if (length <= 0)
		return "";
	std::string path(target, static_cast<size_t>(length));
	size_t deleted = path.find(" (deleted)");
	return base_name(deleted == std::string::npos ? path : path.substr(0, deleted));
}

std::string comm_of(pid_t pid) {
	std::string name;
	if (!read_whole("/proc/" + std::to_string(pid) + "/comm", kMaxProcBytes, &name))
		return "";
	return name.substr(0, name.find('\n'));
}

std::string user_of(pid_t pid, uid_t *uid) {
	struct stat at;
	if (stat(("/proc/" + std::to_string(pid)).c_str(), &at) != 0)
		return "";
	*uid = at.st_uid;
	const passwd *user = getpwuid(at.st_uid);
	return user == nullptr ? std::to_string(at.st_uid) : user->pw_name;
}

Fd open_setting(const char *base, const std::string &path, int flags, uint64_t resolve) {
	Fd root(open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!root.ok())
		return root;
	open_how how{};
	how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
	how.resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
	return Fd(static_cast<int>(syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
}

bool is_value(const std::string &value) {
	if (value.empty() || value.size() > kMaxValueBytes)
		return false;
	for (unsigned char c : value)
		if ((c < 0x20 && c != '\t') || c > 0x7e)
			return false;
	return true;
}

Outcome write_setting(const char *base, const std::string &path, uint64_t resolve, const std::string &value) {
	if (!is_value(value))
		return Outcome::refused(path + ": a value must be 1 to 256 printable characters");
	Fd setting = open_setting(base, path, O_WRONLY, resolve);
	if (!setting.ok())
		return Outcome::error(path, errno);
	ssize_t wrote = write(setting.get(), value.data(), value.size());
	return wrote == static_cast<ssize_t>(value.size()) ? Outcome::fine() : Outcome::error(path, wrote < 0 ? errno : EIO);
}

Outcome read_setting(const char *base, const std::string &path, uint64_t resolve, std::string *value) {
	Fd setting = open_setting(base, path, O_RDONLY, resolve);
	if (!setting.ok())
		return Outcome::error(path, errno);
	char buffer[kMaxProcBytes];
	ssize_t got = read(setting.get(), buffer, sizeof buffer);
	if (got < 0)
		return Outcome::error(path, errno);
	value->assign(buffer, static_cast<size_t>(got));
	while (!value->empty() && (value->back() == '\n' || value->back() == ' '))
		value->pop_back();
	return Outcome::fine();
}

bool block_path(const std::string &device, const std::string &attribute, std::string *path) {
	if (!is_plain_name(device) || device.size() > 31 || (attribute != "scheduler" && attribute != "read_ahead_kb"))
		return false;
	*path = "block/" + device + "/queue/" + attribute;
	return true;
}

// Where a controller's hierarchy is mounted, and whether it is v2.
bool find_hierarchy(const std::string &controller, std::string *mount, bool *unified) {
	std::string text;
	if (!read_whole("/proc/self/mounts", 256 << 10, &text))
		return false;
	size_t from = 0;
	bool found = false;
	while (from < text.size()) {
		size_t to = text.find('\n', from);
		std::string line = text.substr(from, to - from);
		from = to == std::string::npos ? text.size() : to + 1;
		char at[512], type[64], options[512];
		if (sscanf(line.c_str(), "%*s %511s %63s %511s", at, type, options) != 3)
			continue;
		if (strcmp(type, "cgroup") == 0 && ("," + std::string(options) + ",").find("," + controller + ",") != std::string::npos) {
			*mount = at;
			*unified = false;
			return true; // v1 has it: v2 cannot
		}
		std::string controllers;
		if (strcmp(type, "cgroup2") == 0) {
			read_whole(std::string(at) + "/cgroup.controllers", kMaxProcBytes, &controllers);
			bool has = controller == "freezer" || (" " + controllers + " ").find(" " + controller) != std::string::npos;
			if (has && !found) {
				*mount = at;
				*unified = found = true;
			}
		}
	}
	return found;
}

bool write_file(const std::string &path, const std::string &value) {
	Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
	return file.ok() && write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

bool make_group(const std::string &mount, const std::string &group, const std::string &controller, bool unified) {
	std::string kalos = mount + "/kalos";
	if (unified && controller != "freezer" && !write_file(mount + "/cgroup.subtree_control", "+" + controller))
		return false;
	if (mkdir(kalos.c_str(), 0755) != 0 && errno != EEXIST)
		return false;
	if (unified && controller != "freezer" && !write_file(kalos + "/cgroup.subtree_control", "+" + controller))
		return false;
	return mkdir(group.c_str(), 0755) == 0 || errno == EEXIST;
}

// Every process of a session: what a service started stays in its session unless it leaves on purpose.
void move_session(const std::string &group, pid_t session) {
	Directory proc("/proc");
	while (const char *name = proc.next()) {
		pid_t pid = static_cast<pid_t>(strtol(name, nullptr, 10));
		if (pid > 1 && getsid(pid) == session)
			write_file(group + "/cgroup.procs", std::to_string(pid));
	}
}

struct Setting {
	std::string file;
	std::string value;
};

std::vector<Setting> group_settings(const std::string &controller, int64_t value, bool unified) {
	std::vector<Setting> settings;
	if (controller == "freezer") {
		if (unified)
			settings.push_back({"cgroup.freeze", value != 0 ? "1" : "0"});
		else
			settings.push_back({"freezer.state", value != 0 ? "FROZEN" : "THAWED"});
	} else if (controller == "memory") {
		std::string none = unified ? "max" : "-1";
		settings.push_back({unified ? "memory.max" : "memory.limit_in_bytes", value == 0 ? none : std::to_string(value)});
	} else {
		std::string period = std::to_string(kCpuPeriodUs), quota = std::to_string(value * kCpuPeriodUs / 1000);
		if (unified) {
			settings.push_back({"cpu.max", (value == 0 ? "max" : quota) + " " + period});
		} else {
			settings.push_back({"cpu.cfs_period_us", period});
			settings.push_back({"cpu.cfs_quota_us", value == 0 ? "-1" : quota});
		}
	}
	return settings;
}

} // namespace

namespace {

constexpr size_t kMaxNetBytes = 4 << 20;
constexpr unsigned kListening = 0x0a; // TCP_LISTEN

// The inodes of the sockets that listen on a port, from /proc/net/tcp and tcp6.
std::vector<std::string> listeners_on(uint16_t port) {
	std::vector<std::string> inodes;
	for (const char *file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
		std::string text;
		if (!read_whole(file, kMaxNetBytes, &text))
			continue;
		for (size_t at = text.find('\n'); at != std::string::npos && at + 1 < text.size(); at = text.find('\n', at + 1)) {
			unsigned local, state;
			unsigned long inode;
			if (sscanf(text.c_str() + at + 1, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu", &local, &state, &inode) == 3 &&
			    local == port && state == kListening)
				inodes.push_back("socket:[" + std::to_string(inode) + "]");
		}
	}
	return inodes;
}

bool holds_any(pid_t pid, const std::vector<std::string> &sockets) {
	Directory descriptors(("/proc/" + std::to_string(pid) + "/fd").c_str());
	while (const char *name = descriptors.next()) {
		char target[64];
		ssize_t length = readlinkat(descriptors.fd(), name, target, sizeof target);
		for (const std::string &socket : sockets)
			if (length > 0 && socket == std::string(target, static_cast<size_t>(length)))
				return true;
	}
	return false;
}

} // namespace

Outcome port_holder(uint16_t port, Encoder *answer) {
	std::vector<std::string> sockets = listeners_on(port);
	Directory proc("/proc");
	pid_t holder = 0;
	for (const char *name = proc.next(); name != nullptr && holder == 0 && !sockets.empty(); name = proc.next()) {
		pid_t pid = static_cast<pid_t>(strtol(name, nullptr, 10));
		if (pid > 0 && holds_any(pid, sockets))
			holder = pid;
	}
	int64_t start;
	uid_t uid = 0;
	if (holder == 0 || !read_process(holder, &start, nullptr, nullptr))
		return Outcome::not_found("port " + std::to_string(port) + ": no visible process listens on it");
	user_of(holder, &uid);
	answer->array(4).number(holder).number(start).text(program_of(holder)).number(uid);
	return Outcome::fine();
}

int signal_number(const std::string &name) { return number_of(kSignals, name, 0); }
int resource_number(const std::string &name) { return number_of(kResources, name, -1); }

bool read_process(pid_t pid, int64_t *start_ticks, pid_t *parent, char *state) {
	std::string text;
	if (pid <= 0 || !read_whole("/proc/" + std::to_string(pid) + "/stat", kMaxProcBytes, &text))
		return false;
	size_t close = text.rfind(')'); // the name may hold anything, ')' too
	char what;
	int above;
	unsigned long long start;
	if (close == std::string::npos ||
	    sscanf(text.c_str() + close + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &what, &above, &start) != 3)
		return false;
	*start_ticks = static_cast<int64_t>(start);
	if (parent != nullptr)
		*parent = above;
	if (state != nullptr)
		*state = what;
	return true;
}

bool lives(const ProcessId &process) {
	int64_t start;
	char state;
	return read_process(process.pid, &start, nullptr, &state) && start == process.start_ticks && state != 'Z' && state != 'X';
}

std::string process_name(pid_t pid) {
	std::string program = program_of(pid);
	return program.empty() ? comm_of(pid) : program;
}

std::string protection_of(const Policy &policy, pid_t pid, bool own) {
	int64_t start;
	pid_t parent;
	uid_t uid;
	if (pid == 1 || pid == getpid() || pid == policy.protected_pid)
		return "it is protected";
	if (own)
		return "";
	if (!read_process(pid, &start, &parent, nullptr))
		return ""; // gone: said elsewhere
	std::string program = program_of(pid), name = process_name(pid), user = user_of(pid, &uid);
	if (parent == 2 || pid == 2)
		return "it is a kernel thread";
	if (policy.protects_process(program) || (program.empty() && policy.protects_process(name)))
		return "it is protected";
	return policy.allows_process(name, user) ? "" : "the actuator's policy allows neither the process nor its user";
}

Outcome process_signal(const ProcessId &process, int signal) {
	Pinned pin(process);
	if (!pin.ok())
		return gone(process);
	if (syscall(SYS_pidfd_send_signal, pin.fd(), signal, nullptr, 0) != 0)
		return errno == ESRCH ? gone(process) : Outcome::error("signal", errno);
	return Outcome::fine();
}

Outcome process_nice(const ProcessId &process, int64_t nice) {
	if (nice < -20 || nice > 19)
		return Outcome::refused("nice " + std::to_string(nice) + ": must be -20 to 19");
	return pinned(process, "nice", [&] { return setpriority(PRIO_PROCESS, static_cast<id_t>(process.pid), static_cast<int>(nice)); });
}

Outcome process_ioprio(const ProcessId &process, int64_t ioclass, int64_t level) {
	if (ioclass < 0 || ioclass > 3 || level < 0 || level > 7)
		return Outcome::refused("I/O priority " + std::to_string(ioclass) + ":" + std::to_string(level) + ": must be a class of 0 to 3 and a level of 0 to 7");
	return pinned(process, "ioprio", [&] { return static_cast<int>(syscall(SYS_ioprio_set, kIoprioProcess, process.pid, ioclass << kIoprioShift | level)); });
}

Outcome process_limit(const ProcessId &process, const std::string &resource, int64_t soft, int64_t hard) {
	int number = resource_number(resource);
	if (number < 0 || soft < -1 || hard < -1 || (hard != -1 && (soft == -1 || soft > hard)))
		return Outcome::refused("limit " + resource + " " + std::to_string(soft) + ":" + std::to_string(hard) + ": must be of a known resource, its soft value not above its hard one");
	rlimit limit{soft == -1 ? RLIM_INFINITY : static_cast<rlim_t>(soft), hard == -1 ? RLIM_INFINITY : static_cast<rlim_t>(hard)};
	return pinned(process, "limit", [&] { return prlimit(process.pid, static_cast<__rlimit_resource>(number), &limit, nullptr); });
}

Outcome process_read(pid_t pid, Encoder *answer) {
	int64_t start;
	uid_t uid = 0;
	if (!read_process(pid, &start, nullptr, nullptr))
		return Outcome::gone("no process " + std::to_string(pid));
	errno = 0;
	int nice = getpriority(PRIO_PROCESS, static_cast<id_t>(pid));
	long io = syscall(SYS_ioprio_get, kIoprioProcess, pid);
	if (errno != 0)
		return Outcome::error("process", errno);
	std::string name = comm_of(pid);
	user_of(pid, &uid);
	answer->array(7 + std::size(kResources)).number(pid).number(start).text(name).number(uid).number(nice).number(io >> kIoprioShift & 7).number(io & 7);
	for (const Named &resource : kResources) {
		rlimit limit{};
		prlimit(pid, static_cast<__rlimit_resource>(resource.number), nullptr, &limit);
		answer->array(3).text(resource.name);
		answer->number(limit.rlim_cur == RLIM_INFINITY ? -1 : static_cast<int64_t>(limit.rlim_cur));
		answer->number(limit.rlim_max == RLIM_INFINITY ? -1 : static_cast<int64_t>(limit.rlim_max));
	}
	return lives({pid, start}) ? Outcome::fine() : Outcome::gone("no process " + std::to_string(pid));
}

Outcome sysctl_write(const std::string &key, const std::string &value) {
	std::string path;
	return sysctl_path(key, &path) ? write_setting("/proc/sys", path, RESOLVE_NO_SYMLINKS, value) : Outcome::refused(key + ": no sysctl key");
}

Outcome sysctl_read(const std::string &key, std::string *value) {
	std::string path;
	return sysctl_path(key, &path) ? read_setting("/proc/sys", path, RESOLVE_NO_SYMLINKS, value) : Outcome::refused(key + ": no sysctl key");
}

Outcome block_write(const std::string &device, const std::string &attribute, const std::string &value) {
	std::string path;
	return block_path(device, attribute, &path) ? write_setting("/sys", path, 0, value) : Outcome::refused(device + ": no setting of a block device");
}

Outcome block_read(const std::string &device, const std::string &attribute, std::string *value) {
	std::string path;
	if (!block_path(device, attribute, &path))
		return Outcome::refused(device + ": no setting of a block device");
	Outcome outcome = read_setting("/sys", path, 0, value);
	size_t open = value->find('['), close = value->find(']');
	if (outcome.ok() && open != std::string::npos && close != std::string::npos) // "mq-deadline [none]": the one in use
		*value = value->substr(open + 1, close - open - 1);
	return outcome;
}

Outcome cgroup_write(const std::string &name, const std::string &controller, int64_t value, pid_t member) {
	std::string mount;
	bool unified;
	if (!is_plain_name(name) || value < 0)
		return Outcome::refused("cgroup: a plain name and a value of 0 or more");
	if (!find_hierarchy(controller, &mount, &unified))
		return Outcome::not_found("this machine has no cgroup controller " + controller);
	std::string group = mount + "/kalos/" + name;
	if (!make_group(mount, group, controller, unified))
		return Outcome::error(group, errno);
	if (member > 0)
		move_session(group, member);
	for (const Setting &setting : group_settings(controller, value, unified))
		if (!write_file(group + "/" + setting.file, setting.value))
			return Outcome::error(group + "/" + setting.file, errno);
	return Outcome::fine();
}

Outcome cgroup_read(const std::string &name, const std::string &controller, int64_t *value) {
	std::string mount, text;
	bool unified;
	*value = 0;
	if (!is_plain_name(name) || !find_hierarchy(controller, &mount, &unified))
		return Outcome::not_found("this machine has no cgroup controller " + controller);
	std::string file = group_settings(controller, 0, unified).back().file;
	if (!read_whole(mount + "/kalos/" + name + "/" + file, kMaxProcBytes, &text))
		return Outcome::fine(); // not limited yet
	if (controller == "freezer")
		*value = text[0] == '1' || text.compare(0, 3, "FRO") == 0 || text.compare(0, 3, "FRE") == 0;
	else if (text.compare(0, 3, "max") != 0 && text[0] != '-')
		*value = strtoll(text.c_str(), nullptr, 10);
	if (controller == "cpu")
		*value = *value * 1000 / kCpuPeriodUs;
	if (controller == "memory" && *value > (int64_t{1} << 60))
		*value = 0; // v1's way to say: none
	return Outcome::fine();
}

bool cgroup_forget(const std::string &name) {
	std::string mount;
	bool unified, gone = true;
	for (const char *controller : {"cpu", "memory", "freezer"}) {
		if (!find_hierarchy(controller, &mount, &unified))
			continue;
		if (rmdir((mount + "/kalos/" + name).c_str()) == 0)
			rmdir((mount + "/kalos").c_str()); // where it was the last
		else if (errno == EBUSY)
			gone = false;
	}
	return gone;
}
