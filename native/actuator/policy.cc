// SPDX-License-Identifier: Apache-2.0
// Reading a policy, what is protected on every machine, and what the rules say of a name.
#include "policy.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include "../fd.h"

namespace {

constexpr size_t kMaxPathBytes = 1024;
constexpr size_t kMaxNameBytes = 64;

const char *const kProtectedNames[] = {"systemd", "systemd-journald", "systemd-logind", "systemd-udevd", "systemd-networkd",
				       "init", "sshd", "dbus-daemon", "dbus-broker", "login", "agetty", "NetworkManager",
				       "wpa_supplicant", "dhclient", "kalos-actuator"};
// Not even read: what opens an account, or is KALOS' own.
const char *const kSecretPaths[] = {
	"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/security/opasswd", "/etc/sudoers", "/etc/sudoers.d", "/etc/ssh", "/etc/ssl/private",
	"/etc/pki/tls/private", "/etc/krb5.keytab", "/etc/crypttab", "/etc/cryptsetup-keys.d", "/etc/wireguard", "/etc/kalos", "/var/lib/kalos", "/var/lib/kalos-actuator",
	"/var/lib/systemd/credential.secret", "/proc", "/sys", "/dev"};
// Not written: a write to each of these makes the writer root, or cuts the machine off.
const char *const kProtectedPaths[] = {
	// what runs: programs, libraries, kernels, and what is loaded into all of them
	"/boot", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local/bin",
	"/usr/local/sbin", "/usr/local/lib", "/usr/local/libexec", "/usr/share/kalos", "/opt/kalos", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.cache",
	"/etc/ld.so.preload", "/etc/modprobe.d", "/etc/modules", "/etc/modules-load.d", "/etc/initramfs-tools", "/etc/dracut.conf.d", "/etc/default", "/etc/sysconfig",
	"/etc/kernel", "/etc/grub.d", "/etc/alternatives", "/etc/binfmt.d", "/etc/python3", "/etc/perl",
	// who may: accounts, sudo, PAM, polkit, certificates that are believed
	"/etc/passwd", "/etc/passwd-", "/etc/group", "/etc/group-", "/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-", "/etc/login.defs", "/etc/shells", "/etc/nsswitch.conf",
	"/etc/sudo.conf", "/etc/sudo_logsrvd.conf", "/etc/doas.conf", "/etc/pam.conf", "/etc/pam.d", "/etc/security", "/etc/polkit-1", "/usr/share/polkit-1", "/etc/krb5.conf",
	"/etc/krb5.conf.d", "/etc/ca-certificates", "/etc/ca-certificates.conf", "/usr/local/share/ca-certificates", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki", "/etc/apparmor",
	"/etc/apparmor.d", "/etc/selinux", "/etc/audit",
	// what is started by root: units, timers, cron, at, shells, log rotation, devices, packages, messages
	"/etc/systemd", "/run/systemd", "/usr/local/share/systemd", "/etc/init.d", "/etc/inittab", "/etc/init", "/etc/rc.local", "/etc/rc.d", "/etc/rc0.d", "/etc/rc1.d", "/etc/rc2.d",
	"/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d", "/etc/rc6.d", "/etc/rcS.d", "/etc/insserv", "/etc/crontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly",
	"/etc/cron.monthly", "/etc/cron.yearly", "/etc/anacrontab", "/var/spool/cron", "/var/spool/at", "/var/spool/anacron", "/etc/profile", "/etc/profile.d", "/etc/environment",
	"/etc/environment.d", "/etc/bash.bashrc", "/etc/bashrc", "/etc/bash_completion.d", "/etc/zsh", "/etc/zshrc", "/etc/zshenv", "/etc/zprofile", "/etc/csh.cshrc", "/etc/csh.login",
	"/etc/fish", "/etc/skel", "/etc/inputrc", "/etc/logrotate.conf", "/etc/logrotate.d", "/etc/tmpfiles.d", "/etc/sysusers.d", "/etc/sysctl.conf", "/etc/sysctl.d", "/etc/udev",
	"/etc/acpi", "/etc/pm", "/etc/update-motd.d", "/etc/apt", "/etc/dpkg", "/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt/archives", "/etc/dnf", "/etc/yum", "/etc/yum.conf",
	"/etc/yum.repos.d", "/etc/rpm", "/var/lib/rpm", "/etc/pacman.conf", "/etc/pacman.d", "/etc/apk", "/etc/needrestart", "/etc/dbus-1", "/usr/share/dbus-1", "/run/dbus", "/etc/X11",
	"/etc/xdg", "/etc/docker", "/etc/containerd", "/etc/cni", "/etc/kubernetes", "/etc/snmp", "/etc/rsyslog.conf", "/etc/rsyslog.d",
	// where the machine is, and how it is reached
	"/etc/fstab", "/etc/mdadm", "/etc/lvm", "/etc/exports", "/etc/auto.master", "/etc/network", "/etc/netplan", "/etc/NetworkManager", "/etc/wpa_supplicant", "/etc/dhcp",
	"/etc/nftables.conf", "/etc/nftables.d", "/etc/iptables", "/etc/ufw", "/etc/firewalld", "/etc/hosts.allow", "/etc/hosts.deny", "/etc/gai.conf", "/etc/machine-id"};
// Wherever they are.
const char *const kProtectedParts[] = {"/.kalos/", "/.ssh/", "/.gnupg/"};
// Beneath /dev, but no devices: files of programs.
constexpr char kSharedMemory[] = "/dev/shm";
// Code that the kernel would run, or the end of all protection: not to be allowed by any file.
const char *const kProtectedSysctls[] = {"kernel.core_pattern", "kernel.modprobe", "kernel.hotplug", "kernel.poweroff_cmd", "kernel.modules_disabled",
					 "kernel.kexec_load_disabled", "kernel.sysrq", "kernel.yama.ptrace_scope", "kernel.unprivileged_bpf_disabled",
					 "kernel.randomize_va_space", "fs.suid_dumpable", "kernel.usermodehelper.bset", "kernel.usermodehelper.inheritable"};
const char *const kCertified[] = {"service", "unit", "program", "process", "sysctl", "block", "path"};
const char *const kKinds[] = {"sysctl", "path", "file", "read", "block", "program", "user", "process", "process-user", "unit"};

// What is hidden in a home: shells' profiles, keys, units of the user's own. Empty where it is none.
std::string hidden_of_home(const std::string &path) {
	size_t home = std::string::npos;
	if (path.compare(0, 6, "/root/") == 0)
		home = 5;
	else if (path.compare(0, 6, "/home/") == 0)
		home = path.find('/', 6);
	if (home == std::string::npos || home + 1 >= path.size() || path[home + 1] != '.')
		return "";
	return path.substr(0, path.find('/', home + 1));
}

bool has_control(const std::string &text) {
	for (unsigned char c : text)
		if (c < 0x20 || c == 0x7f)
			return true;
	return false;
}

template <size_t Size> bool is_one_of(const char *const (&kinds)[Size], const std::string &kind) {
	for (const char *known : kinds)
		if (kind == known)
			return true;
	return false;
}

} // namespace

bool is_plain_path(const std::string &path) {
	if (path.size() < 2 || path.size() > kMaxPathBytes || path[0] != '/' || path.back() == '/' || has_control(path))
		return false;
	size_t from = 1;
	while (from <= path.size()) {
		size_t to = path.find('/', from);
		if (to == std::string::npos)
			to = path.size();
		std::string part = path.substr(from, to - from);
		if (part.empty() || part == "." || part == ".." || part.size() > 255)
			return false;
		from = to + 1;
	}
	return true;
}

bool is_plain_name(const std::string &name) {
	if (name.empty() || name.size() > kMaxNameBytes || name[0] == '-' || name[0] == '.')
		return false;
	for (unsigned char c : name)
		if (!(isalnum(c) || c == '.' || c == '_' || c == '-' || c == '@' || c == ':'))
			return false;
	return true;
}

bool sysctl_path(const std::string &key, std::string *path) {
	std::string plain = key;
	for (char &c : plain)
		if (c == '/')
			c = '_';
	if (!is_plain_name(plain) || (key.find('/') != std::string::npos && key.find('/') < key.find('.')))
		return false;
	*path = key;
	for (char &c : *path)
		if (c == '.' || c == '/')
			c = c == '.' ? '/' : '.';
	for (size_t from = 0; from <= path->size();) {
		size_t to = std::min(path->find('/', from), path->size());
		std::string part = path->substr(from, to - from);
		if (part.empty() || part == "." || part == "..")
			return false;
		from = to + 1;
	}
	return true;
}

bool is_within(const std::string &path, const std::string &directory) {
	return path == directory || (path.size() > directory.size() && path.compare(0, directory.size(), directory) == 0 && path[directory.size()] == '/');
}

bool Policy::rule(const std::string &line, std::string *why) {
	std::istringstream words(line);
	std::string verb, kind, name, rest;
	words >> verb >> kind >> name;
	if (words >> rest) {
		*why = "too many words";
		return false;
	}
	if (verb == "allow" && kind == "net" && name.empty()) {
		net_ = true;
		return true;
	}
	if (verb == "swarm" && name.empty() && is_plain_name(kind)) {
		swarm_ = kind;
		return true;
	}
	if (verb == "certify" && kind == "net" && name.empty()) {
		certified_.insert("net ");
		return true;
	}
	if (name.empty()) {
		*why = "a rule needs a name: an empty one never means all";
		return false;
	}
	if (name.find_first_of("*?[") != std::string::npos) {
		*why = "names are exact: no wildcards";
		return false;
	}
	bool path = kind == "path" || kind == "file" || kind == "read" || kind == "program";
	std::string setting;
	// A rule that ends with a dot is of all keys below.
	bool key = kind == "sysctl" && sysctl_path(name.back() == '.' ? name + "x" : name, &setting);
	if (path ? !is_plain_path(name) : !is_plain_name(name) && !key) {
		*why = path ? "not an absolute path without . and .." : "not a plain name";
		return false;
	}
	if (verb == "protect" && kind == "process")
		protected_names_.insert(name);
	else if (verb == "protect" && kind == "path")
		protect_path(name);
	else if (verb == "certify" && is_one_of(kCertified, kind))
		certified_.insert(kind + " " + name);
	else if ((verb == "allow" || verb == "deny") && is_one_of(kKinds, kind))
		(verb == "allow" ? allowed_ : denied_).insert(kind + " " + name);
	else {
		*why = "no such rule: allow|deny|protect|certify KIND NAME, or swarm ID";
		return false;
	}
	return true;
}

bool Policy::parse(const std::string &text, Policy *out, std::string *why) {
	Policy policy;
	for (const char *name : kProtectedNames)
		policy.protected_names_.insert(name);
	for (const char *path : kProtectedPaths)
		policy.protected_paths_.insert(path);
	for (const char *path : kSecretPaths)
		policy.secret_paths_.insert(path);
	std::istringstream lines(text);
	std::string line;
	for (int number = 1; std::getline(lines, line); number++) {
		size_t start = line.find_first_not_of(" \t\r");
		if (start == std::string::npos || line[start] == '#')
			continue;
		std::string reason;
		if (!policy.rule(line, &reason)) {
			*why = "line " + std::to_string(number) + ": " + reason;
			return false;
		}
	}
	*out = policy;
	return true;
}

Policy::Loaded Policy::load(const std::string &path, Policy *out, std::string *text, std::string *why) {
	Fd file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
	if (!file.ok()) {
		*why = path + ": " + strerror(errno);
		return errno == ENOENT ? kMissing : kBad;
	}
	struct stat at;
	bool safe = fstat(file.get(), &at) == 0 && S_ISREG(at.st_mode) && (at.st_uid == 0 || at.st_uid == geteuid()) && (at.st_mode & 022) == 0;
	std::string content(kMaxPolicyBytes + 1, '\0');
	ssize_t length = safe ? read(file.get(), content.data(), content.size()) : -1;
	if (!safe) {
		*why = path + ": must be a regular file of root's, writable by its owner alone";
		return kBad;
	}
	if (length < 0 || static_cast<size_t>(length) > kMaxPolicyBytes) {
		*why = path + ": cannot be read, or is larger than 64 KiB";
		return kBad;
	}
	content.resize(static_cast<size_t>(length));
	std::string reason;
	if (!parse(content, out, &reason)) {
		*why = path + ": " + reason;
		return kBad;
	}
	*text = content;
	return kLoaded;
}

bool Policy::has(const std::set<std::string> &rules, const std::string &kind, const std::string &name) const {
	return rules.count(kind + " " + name) > 0;
}

bool Policy::allows_any(const std::string &kind) const {
	auto first = allowed_.lower_bound(kind + " ");
	return first != allowed_.end() && first->compare(0, kind.size() + 1, kind + " ") == 0;
}

bool Policy::allows_sysctl(const std::string &key) const {
	for (const char *known : kProtectedSysctls)
		if (key == known)
			return false;
	auto matches = [&](const std::set<std::string> &rules) {
		if (has(rules, "sysctl", key))
			return true;
		for (size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', dot + 1))
			if (has(rules, "sysctl", key.substr(0, dot + 1)))
				return true;
		return false;
	};
	return matches(allowed_) && !matches(denied_);
}

std::string Policy::protection_of_path(const std::string &path, bool reads) const {
	std::string within = path + "/";
	for (const char *part : kProtectedParts)
		if (within.find(part) != std::string::npos)
			return part;
	std::string hidden = hidden_of_home(path);
	if (!hidden.empty() && (!reads || is_within(path, "/root")))
		return hidden;
	bool shared = is_within(path, kSharedMemory); // out of /dev, not out of what is kept beneath it
	auto keeps = [&](const std::string &kept) { return (is_within(path, kept) && (!shared || is_within(kept, kSharedMemory))) || is_within(kept, path); };
	for (const std::string &kept : secret_paths_)
		if (keeps(kept))
			return kept;
	for (const std::string &kept : protected_paths_)
		if (!reads && keeps(kept))
			return kept;
	return "";
}

std::string Policy::root_of(const std::string &path, bool reads) const {
	if (!is_plain_path(path))
		return "";
	std::string root;
	std::string directory = path.substr(0, path.rfind('/'));
	if (!directory.empty() && (has(allowed_, "file", path) || (reads && has(allowed_, "read", path))))
		root = directory;
	if (!protection_of_path(path, reads).empty())
		return "";
	for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
		std::string parent = path.substr(0, slash);
		if (has(denied_, "path", parent) || (reads && has(denied_, "read", parent)))
			return "";
		if (root.empty() && (has(allowed_, "path", parent) || (reads && has(allowed_, "read", parent))))
			root = parent;
	}
	bool denied = has(denied_, "path", path) || has(denied_, "file", path) || (reads && has(denied_, "read", path));
	return denied ? "" : root;
}

bool Policy::allows_block(const std::string &device) const { return has(allowed_, "block", device) && !has(denied_, "block", device); }
bool Policy::allows_program(const std::string &path) const { return has(allowed_, "program", path) && !has(denied_, "program", path); }
bool Policy::allows_user(const std::string &name) const { return has(allowed_, "user", name) && !has(denied_, "user", name); }

bool Policy::allows_process(const std::string &name, const std::string &user) const {
	if (has(denied_, "process", name) || has(denied_, "process-user", user))
		return false;
	return has(allowed_, "process", name) || has(allowed_, "process-user", user);
}

bool Policy::protects_process(const std::string &name) const { return protected_names_.count(name) > 0; }

std::string Policy::certified_by(const std::string &kind, const std::string &name) const {
	if (kind == "path")
		for (const std::string &rule : certified_)
			if (rule.compare(0, 5, "path ") == 0 && is_within(name, rule.substr(5)))
				return rule;
	return has(certified_, kind, name) ? kind + " " + name : "";
}
