// SPDX-License-Identifier: Apache-2.0
// Who a service runs as, how a child becomes that, and which processes are a service's.
#include "services.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <set>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "files.h"
#include "machine.h"

namespace {

// As systemd has for DynamicUser=: no distribution gives them to accounts.
constexpr uid_t kFirstOwnUser = 61184, kOwnUsers = 65519 - 61184 + 1;
constexpr size_t kMaxUserItems = 3 * kOwnUsers + 1; // of the record of all of them
constexpr int64_t kOnceMemory = int64_t{1} << 30;
constexpr int kMaxWalks = 8, kMaxAncestors = 4096;

// A user or a group has it, or systemd has given it away for now.
bool is_taken(uid_t uid) {
	return getpwuid(uid) != nullptr || getgrgid(uid) != nullptr || access(("/run/systemd/dynamic-uid/" + std::to_string(uid)).c_str(), F_OK) == 0;
}

} // namespace

// A user of its own, the same at each start: by its name, and no account's. 0 where this process cannot give any.
Outcome Services::own_user(const std::string &name, std::set<uid_t> *taken, uid_t *uid) const {
	*uid = 0;
	if (geteuid() != 0)
		return Outcome::fine();
	auto known = own_users_.find(name);
	auto declared = services_.find(name);
	if (known != own_users_.end())
		*uid = known->second;
	else if (declared != services_.end())
		*uid = declared->second->spec.own_uid;
	if (*uid != 0)
		return Outcome::fine();
	uint32_t hash = 2166136261u; // FNV-1a
	for (unsigned char byte : name)
		hash = (hash ^ byte) * 16777619u;
	for (uid_t i = 0; i < kOwnUsers && *uid == 0; i++) {
		uid_t candidate = kFirstOwnUser + (hash + i) % kOwnUsers;
		if (taken->count(candidate) == 0 && !is_taken(candidate))
			*uid = candidate;
	}
	if (*uid == 0)
		return Outcome::refused(name + ": no user id of " + std::to_string(kFirstOwnUser) + " to " + std::to_string(kFirstOwnUser + kOwnUsers - 1) + " is free for it: give it a user, or remove " + directory_ + "/users while the actuator is stopped");
	taken->insert(*uid);
	return Outcome::fine();
}

std::set<uid_t> Services::taken_users() const {
	std::set<uid_t> taken;
	for (const auto &[other, one] : own_users_)
		taken.insert(one);
	for (const auto &[other, service] : services_)
		taken.insert(service->spec.own_uid);
	return taken;
}

// From when it may own something; what was declared and never run owns nothing, and takes no id from others.
void Services::keep_user(const ServiceSpec &spec) {
	if (spec.own_uid == 0 || spec.once || !own_users_.emplace(spec.name, spec.own_uid).second)
		return;
	Encoder record;
	record.array(own_users_.size());
	for (const auto &[other, one] : own_users_)
		record.array(2).text(other).number(one);
	write_durably(directory_, "users", record.data()); // lost, it is the same again unless two names have one hash
}

void Services::recall_users() {
	std::string bytes;
	Value users;
	const char *why;
	if (!read_whole(directory_ + "/users", kMaxFrameBytes, &bytes) || !decode_cbor(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), &users, &why, kMaxUserItems))
		return;
	for (const Value &one : users.items)
		if (one.items.size() == 2 && one.items[1].number >= kFirstOwnUser && one.items[1].number < kFirstOwnUser + kOwnUsers)
			own_users_[one.items[0].text] = static_cast<uid_t>(one.items[1].number);
}

Outcome Services::identity(const ServiceSpec &spec, Identity *out) const {
	if (spec.user.empty() && spec.own_uid != 0) {
		*out = {spec.own_uid, spec.own_uid, "", "/"};
		return is_taken(spec.own_uid) ? Outcome::refused(spec.name + ": its user id " + std::to_string(spec.own_uid) + " belongs to another account by now: declare a user for it") : Outcome::fine();
	}
	const passwd *user = spec.user.empty() ? getpwuid(agent_uid_) : getpwnam(spec.user.c_str());
	if (user == nullptr && !spec.user.empty())
		return Outcome::refused(spec.name + ": no user " + spec.user + " in /etc/passwd");
	*out = user == nullptr ? Identity{agent_uid_, static_cast<gid_t>(agent_uid_), "", "/"} : Identity{user->pw_uid, user->pw_gid, user->pw_name, user->pw_dir};
	if (out->uid == agent_uid_ ? policy_.denies_user(out->name) : !policy_.allows_user(out->name))
		return Outcome::refused(spec.name + ": the actuator's policy does not allow services as " + out->name);
	if (out->uid != geteuid() && geteuid() != 0)
		return Outcome::refused(spec.name + ": only root can run it as " + out->name);
	return Outcome::fine();
}

// In the child: everything that the program must not inherit is gone when it begins.
void Services::become(const ServiceSpec &spec, int64_t fence, pid_t parent, int log, int failed) const {
	Identity who{};
	auto give_up = [&](const char *what) {
		int error = errno;
		std::string text = std::string(what) + ": " + strerror(error);
		bool lacks = error == EACCES || error == EPERM || error == EINVAL; // in a user namespace, perhaps the user itself
		bool is_it = geteuid() == who.uid || strcmp(what, "user") == 0;
		if (lacks && is_it && spec.own_uid != 0 && who.uid == spec.own_uid)
			text += " (as its own user " + std::to_string(who.uid) + ": let that user in, or give it a `user`)";
		(void)!write(failed, text.data(), text.size());
		_exit(127);
	};
	setsid();
	reset_signals();
	int null = open("/dev/null", O_RDONLY);
	if (null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		give_up("log");
	// At once: what comes next may not answer, and a lock of the actuator's would be kept for as long.
	if (failed > 3)
		syscall(SYS_close_range, 3u, static_cast<unsigned>(failed - 1), 0u);
	syscall(SYS_close_range, static_cast<unsigned>(failed + 1), ~0u, 0u);
	if (!identity(spec, &who).ok())
		give_up("user");
	if (who.uid == spec.own_uid && spec.own_uid != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		give_up("user");
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
	if (geteuid() == 0 && ((who.name.empty() ? setgroups(0, nullptr) : initgroups(who.name.c_str(), who.gid)) != 0 || setgid(who.gid) != 0 || setuid(who.uid) != 0))
		give_up("user");
	std::string directory = spec.directory.empty() && who.name.empty() ? "/" : spec.directory; // where the actuator is it may not look
	if (!directory.empty() && chdir(directory.c_str()) != 0)
		give_up(directory.c_str());
	clearenv();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", who.home.c_str(), 1);
	setenv("LANG", "C.UTF-8", 1);
	if (!who.name.empty())
		setenv("USER", who.name.c_str(), 1);
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
	std::vector<char *> argv = pointers_to(spec.argv);
	rlimit memory{kOnceMemory, kOnceMemory};
	if (spec.once && setrlimit(RLIMIT_AS, &memory) != 0)
		give_up("sandbox");
	close_others();
	execvp(argv[0], argv.data());
	give_up(argv[0]);
	_exit(127);
}

// By its ancestors: this process takes in what they leave behind (PR_SET_CHILD_SUBREAPER). What an actuator before this one started is
// known by its service's process and session. An answer that cannot be had is yes.
bool Services::started(pid_t pid) const {
	for (int attempt = 0; attempt < kMaxWalks; attempt++) { // parents may end under way
		pid_t at = pid, parent = 0;
		int64_t start;
		for (int depth = 0; depth < kMaxAncestors && at > 1; depth++) {
			if (at == agent_child)
				return false;
			if (at == getpid() || owns(at))
				return true;
			if (!read_process(at, &start, &parent, nullptr))
				break;
			at = parent;
		}
		if (at <= 1)
			return at == getpid(); // with --init, all processes descend from the first one, but those that were brought in from outside
	}
	return true;
}
