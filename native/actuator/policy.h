// SPDX-License-Identifier: Apache-2.0
// What this machine's owner allows the actuator to touch, for every agent alike. One rule a line, nothing allowed by default:
//
//   allow | deny   sysctl KEY (or PREFIX.)  path DIR (what lies in it)  file PATH  read PATH (and what lies in it: not written)  block DEVICE  program PATH  user NAME  process NAME
//                  process-user NAME  unit NAME
//   allow          net
//   swarm          ID   (whose authorizations count; else the swarm of the first that is shown)
//   certify        net   service NAME   unit NAME   program PATH   process NAME   sysctl KEY   block DEVICE   path DIR
//   protect        process NAME   path DIR
//
// deny and protect win over allow; what is certified needs an authorization besides (authorizations.h). A name is exact: a wildcard is an error,
// and so is a line that is not understood.
#pragma once

#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

constexpr size_t kMaxPolicyBytes = size_t{64} << 10;

class Policy {
public:
	// On failure false, with the line and the reason in *why.
	static bool parse(const std::string &text, Policy *out, std::string *why);
	// The file must be regular, root's or this process's own, and writable by its owner alone.
	enum Loaded {
		kLoaded,
		kMissing,
		kBad,
	};
	static Loaded load(const std::string &path, Policy *out, std::string *text, std::string *why);

	bool allows_sysctl(const std::string &key) const;
	// The directory from which a path may be reached: the allowed one that it lies in, or of a single file its own; empty where it is not allowed.
	std::string root_of(const std::string &path, bool reads = false) const;
	// What keeps a path from being written, or read, even where a rule allows it; empty where nothing does.
	std::string protection_of_path(const std::string &path, bool reads) const;
	// In words, what each rule makes possible, and what is wrong with it; one line each.
	std::vector<std::string> lint() const;
	bool allows_block(const std::string &device) const;
	bool allows_program(const std::string &path) const;
	bool allows_user(const std::string &name) const;
	bool denies_user(const std::string &name) const { return has(denied_, "user", name); }
	bool allows_process(const std::string &name, const std::string &user) const;
	bool allows_unit(const std::string &name) const { return has(allowed_, "unit", name) && !has(denied_, "unit", name); }
	bool allows_net() const { return net_; }
	bool allows_any(const std::string &kind) const;
	bool protects_process(const std::string &name) const;
	// The rule by which something needs authorization; empty where none does.
	std::string certified_by(const std::string &kind, const std::string &name) const;
	// The swarm whose authorizations count; empty where no rule names one.
	const std::string &swarm() const { return swarm_; }
	// Kept from every tool, even where the file allows it: the actuator's own state, say.
	void protect_path(const std::string &path) { secret_paths_.insert(path); }
	// The agent that is connected.
	pid_t protected_pid = 0;

private:
	bool rule(const std::string &line, std::string *why);
	bool has(const std::set<std::string> &rules, const std::string &kind, const std::string &name) const;

	std::set<std::string> allowed_; // "kind name"
	std::set<std::string> denied_;
	std::set<std::string> certified_;
	std::set<std::string> protected_names_;
	std::set<std::string> protected_paths_;
	std::set<std::string> secret_paths_;
	bool net_ = false;
	std::string swarm_;
};

// Absolute, without empty, "." or ".." parts, without control characters, at most 1,024 bytes.
bool is_plain_path(const std::string &path);
// 1 to 64 letters, digits and . _ - @ : and not led by a dash: never an option, never a path.
bool is_plain_name(const std::string &name);

// vm.swappiness to vm/swappiness, as sysctl(8) does: a slash stands for a dot within a part, net.ipv4.conf.eth0/100.rp_filter; false for
// what is no key, and for one that is written as a path: a key has one form, as rules are compared with it.
bool sysctl_path(const std::string &key, std::string *path);
bool is_within(const std::string &path, const std::string &directory);
