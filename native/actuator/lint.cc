// SPDX-License-Identifier: Apache-2.0
// What a policy makes possible, rule by rule, in words: for its owner, before it is in force.
#include "policy.h"

#include <cstring>
#include <sys/stat.h>

namespace {

constexpr char kRoot[] = "with this the agent can become root";

// They run a program that is their argument, or that a file names.
const char *const kLaunchers[] = {"ionice", "nice", "chrt", "taskset", "env", "timeout", "nohup", "setsid", "stdbuf", "time", "xargs", "find", "parallel", "watch", "script", "flock",
				  "sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "python", "python2", "python3", "perl", "ruby", "node", "lua", "php", "tclsh", "expect", "awk",
				  "gawk", "mawk", "sed", "ed", "vi", "vim", "nano", "less", "more", "man", "tar", "rsync", "cpio", "zip", "git", "make", "cmake", "gcc", "cc", "gdb",
				  "strace", "ltrace", "ssh", "scp", "sftp", "socat", "nc", "openssl", "docker", "podman", "runc", "ctr", "nsenter", "unshare", "chroot", "setpriv",
				  "capsh", "su", "sudo", "doas", "pkexec", "runuser", "systemd-run", "systemctl", "machinectl", "crontab", "at", "batch", "dpkg", "apt", "apt-get",
				  "rpm", "dnf", "yum", "pip", "npm", "mount", "umount", "cp", "mv", "install", "ln", "dd", "tee", "chmod", "chown", "setfacl", "setcap", "useradd",
				  "usermod", "passwd", "visudo", "insmod", "modprobe", "kexec"};

// Of settings that one rule opens with the rest of their tree.
const char *const kDangerousTrees[] = {"kernel.", "fs.", "dev."};

// Stopped, each of them shuts people out or takes the machine off its network.
const char *const kWaysIn[] = {"ssh", "sshd", "dropbear", "dbus", "dbus-broker", "NetworkManager", "networking", "network", "wpa_supplicant", "dhcpcd", "dhclient", "connman",
			       "netplan-wpa", "systemd-networkd", "systemd-resolved", "systemd-logind", "systemd-journald", "systemd-udevd", "nftables", "iptables", "firewalld",
			       "ufw", "getty", "serial-getty", "tailscaled", "wg-quick", "openvpn"};

template <size_t Size> bool is_one_of(const char *const (&names)[Size], const std::string &name) {
	for (const char *known : names)
		if (name == known)
			return true;
	return false;
}

std::string base_of(const std::string &path) { return path.substr(path.rfind('/') + 1); }

std::string words_of_path(const Policy &policy, const std::string &path) {
	struct stat at = {};
	std::string kept = policy.protection_of_path(path + "/x", false);
	if (!kept.empty())
		return "allows nothing: " + kept + " is protected: no rule can allow it";
	if (lstat(path.c_str(), &at) == 0 && !S_ISDIR(at.st_mode))
		return "allows nothing: it is no directory; for a single file: allow file " + path;
	std::string words = "the agent can replace, rotate and remove all files in it";
	// What is protected in there stays so; the rest may be what some program of root's runs or believes.
	if (path == "/etc" || path == "/usr" || path == "/opt" || path == "/var" || path == "/var/lib" || path == "/home" || path == "/root" || path == "/srv" || path.find('/', 1) == std::string::npos)
		words += "; " + std::string(kRoot) + ", through a file that something of root's runs or believes: name the directory of one program, or single files";
	return words;
}

std::string words_of_file(const Policy &policy, const std::string &path) {
	struct stat at = {};
	std::string kept = policy.protection_of_path(path, false);
	if (!kept.empty())
		return "allows nothing: " + kept + " is protected: no rule can allow it";
	if (lstat(path.c_str(), &at) == 0 && S_ISDIR(at.st_mode))
		return "allows nothing: it is a directory; for what lies in it: allow path " + path;
	std::string words = "the agent can replace, rotate and remove this file";
	if (at.st_mode & 0111)
		words += "; " + std::string(kRoot) + " where root runs it";
	return words;
}

std::string words_of_read(const Policy &policy, const std::string &path) {
	struct stat at = {};
	bool directory = lstat(path.c_str(), &at) == 0 && S_ISDIR(at.st_mode);
	std::string kept = policy.protection_of_path(directory ? path + "/x" : path, true);
	return kept.empty() ? "the agent can read it, and what lies in it" : "allows nothing: " + kept + " is not shown: no rule can allow it";
}

std::string words_of_program(const std::string &path) {
	std::string name = base_of(path);
	while (!name.empty() && (isdigit(static_cast<unsigned char>(name.back())) || name.back() == '.'))
		name.pop_back(); // python3.11
	if (is_one_of(kLaunchers, name) || is_one_of(kLaunchers, base_of(path)))
		return "the agent can run any program by it: " + std::string(kRoot) + " where it may run as root (allow user root)";
	return "the agent can run it, with arguments of its choice";
}

std::string words(const Policy &policy, const std::string &kind, const std::string &name) {
	if (kind == "path")
		return words_of_path(policy, name);
	if (kind == "file")
		return words_of_file(policy, name);
	if (kind == "read")
		return words_of_read(policy, name);
	if (kind == "program")
		return words_of_program(name);
	if (kind == "user")
		return "services and programs run as it" + std::string(name == "root" ? "; " : "") + (name == "root" ? kRoot : "");
	if (kind == "process" || kind == "process-user")
		return policy.protects_process(name) ? "allows nothing: it is protected: no rule can allow it" : "the agent can signal, end, limit and renice " + std::string(kind == "process" ? "processes of this name" : "this user's processes");
	if (kind == "unit") {
		bool is_way_in = is_one_of(kWaysIn, name.substr(0, name.find_first_of(".@")));
		return "the agent can start, stop and restart it" + std::string(is_way_in ? "; stopped, it shuts people out or cuts the machine off" : "");
	}
	if (kind == "block")
		return "the agent can set its queue";
	std::string text = "the agent can set it";
	if (name.back() == '.') {
		text = "the agent can set all keys of the tree";
		if (is_one_of(kDangerousTrees, name))
			text += "; it can weaken the whole machine by some of them: name the keys";
	} else if (!policy.allows_sysctl(name)) {
		text = "allows nothing: the kernel would run code by it, or end a protection";
	}
	return text;
}

} // namespace

std::vector<std::string> Policy::lint() const {
	std::vector<std::string> lines;
	for (const std::string &rule : allowed_) {
		size_t space = rule.find(' ');
		std::string kind = rule.substr(0, space), name = rule.substr(space + 1);
		std::string said = has(denied_, kind, name) ? "allows nothing: it is denied too" : words(*this, kind, name);
		lines.push_back("allow " + rule + ": " + said);
	}
	if (net_)
		lines.emplace_back("allow net: the agent can block traffic from any network but this machine's own, peers and administrators too");
	if (!certified_.empty() && swarm_.empty())
		lines.emplace_back("certify without swarm ID: the first authorization that is shown decides which swarm may authorize: add a line swarm ID");
	return lines;
}
