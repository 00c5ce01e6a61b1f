// SPDX-License-Identifier: Apache-2.0
// The tables: for each primitive its arguments, its rule of authorization, its lane, its check and its work; and for each read.
#include "primitives.h"

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <unistd.h>

#include "files.h"
#include "machine.h"
#include "writers.h"

namespace {

constexpr int64_t kHelperMs = 5000;
constexpr int64_t kUnitMs = 60000;
constexpr int64_t kMaxSpawnMs = 600000;
constexpr int64_t kMaxGraceMs = 60000, kKilledWithinMs = 2000, kAwaitEveryMs = 25;
constexpr size_t kMaxHidden = 2000; // as many as a directory's list shows
constexpr size_t kMaxArchivedBytes = 1 << 20;
constexpr char kNft[] = "/usr/sbin/nft";

ProcessId process_of(const Args &args) { return {static_cast<pid_t>(args[0].number), args[1].number}; }

// Services

Outcome check_service(const Primitives &p, const Args &args) { return p.services().check(args[0].text); }
void start_service(Primitives &p, const Args &args, const std::string &, Done done) { p.services().start(args[0].text, std::move(done)); }
void stop_service(Primitives &p, const Args &args, const std::string &, Done done) {
	p.services().stop(args[0].text, [&p, name = args[0].text, done](Outcome stopped) {
		Outcome pending = p.services().intend(name, Services::kPending);
		done(stopped.ok() ? pending : stopped);
	});
}

Outcome check_unit(const Primitives &p, const Args &args) {
	const std::string &verb = args[0].text;
	if (verb != "start" && verb != "stop" && verb != "restart" && verb != "reload")
		return Outcome::refused(verb + ": no action on a unit; one of start, stop, restart, reload");
	if (!is_plain_name(args[1].text) || p.policy().protects_process(args[1].text.substr(0, args[1].text.find('.'))))
		return Outcome::refused(args[1].text + ": not a unit's name, or a protected one");
	return p.policy().allows_unit(args[1].text) ? Outcome::fine() : Outcome::refused("the actuator's policy does not allow the unit " + args[1].text);
}
void run_unit(Primitives &p, const Args &args, const std::string &, Done done) {
	p.services().run_helper({p.systemctl(), "--no-ask-password", "--quiet", args[0].text, "--", args[1].text}, "", kUnitMs, std::move(done));
}

Outcome check_spawn(const Primitives &p, const Args &args) {
	if (args[1].items.empty() || !args[1].items[0].is(Value::kText))
		return Outcome::refused("a command must begin with the path of a program");
	if (!p.policy().allows_program(args[1].items[0].text))
		return Outcome::refused("the actuator's policy does not allow the program " + args[1].items[0].text);
	for (const Value &item : args[1].items)
		if (!item.is(Value::kText))
			return Outcome::refused(args[1].items[0].text + ": its arguments must be texts");
	return args[2].number > 0 && args[2].number <= kMaxSpawnMs ? Outcome::fine() : Outcome::refused("timeout of " + std::to_string(args[2].number) + " ms: must be 1 to 600,000 ms");
}
void run_spawn(Primitives &p, const Args &args, const std::string &key, Done done) {
	std::vector<std::string> argv;
	for (const Value &item : args[1].items)
		argv.push_back(item.text);
	p.services().spawn("spawn." + key, args[0].text, argv, args[2].number, std::move(done));
}
Outcome check_nothing(const Primitives &, const Args &) { return Outcome::fine(); }
void end_spawn(Primitives &p, const Args &, const std::string &key, Done done) {
	p.services().stop("spawn." + key, [done](Outcome outcome) { done(outcome.code == Outcome::kNotFound ? Outcome::fine() : outcome); });
}

// Processes

Outcome check_process(const Primitives &p, const Args &args) {
	if (args[0].number <= 1 || args[0].number > INT32_MAX)
		return Outcome::refused("pid " + std::to_string(args[0].number) + ": it is protected");
	if (!lives(process_of(args)))
		return Outcome::gone("pid " + std::to_string(args[0].number) + " is not that process any more");
	pid_t pid = static_cast<pid_t>(args[0].number);
	std::string why = protection_of(p.policy(), pid, p.services().owns(pid));
	return why.empty() ? Outcome::fine() : Outcome::refused("pid " + std::to_string(pid) + ": " + why);
}
Outcome check_signal(const Primitives &p, const Args &args) {
	return signal_number(args[2].text) == 0 ? Outcome::refused("no signal " + args[2].text) : check_process(p, args);
}
void run_signal(Primitives &, const Args &args, const std::string &, Done done) { done(process_signal(process_of(args), signal_number(args[2].text))); }
// Until it is gone: asked first, after the grace killed.
void await_end(Primitives &p, const ProcessId &process, int64_t kill_at_ms, bool killed, Done done) {
	if (!lives(process))
		return done(Outcome::fine());
	bool due = Loop::now_ms() >= kill_at_ms;
	if (due && killed)
		return done(Outcome::failed("pid " + std::to_string(process.pid) + " does not end"));
	if (due)
		process_signal(process, SIGKILL);
	int64_t until = due ? kill_at_ms + kKilledWithinMs : kill_at_ms;
	p.services().loop().after(kAwaitEveryMs, [&p, process, until, gone = killed || due, done] { await_end(p, process, until, gone, done); });
}
Outcome check_end(const Primitives &p, const Args &args) {
	return args[2].number < 0 || args[2].number > kMaxGraceMs ? Outcome::refused("grace of " + std::to_string(args[2].number) + " ms: must be 0 to 60,000 ms") : check_process(p, args);
}
void run_end(Primitives &p, const Args &args, const std::string &, Done done) {
	ProcessId process = process_of(args);
	Outcome asked = process_signal(process, SIGTERM);
	if (!asked.ok())
		return done(asked);
	await_end(p, process, Loop::now_ms() + args[2].number, false, std::move(done));
}
void run_nice(Primitives &, const Args &args, const std::string &, Done done) { done(process_nice(process_of(args), args[2].number)); }
void run_ioprio(Primitives &, const Args &args, const std::string &, Done done) { done(process_ioprio(process_of(args), args[2].number, args[3].number)); }
void run_limit(Primitives &, const Args &args, const std::string &, Done done) {
	done(process_limit(process_of(args), args[2].text, args[3].number, args[4].number));
}

// Settings

Outcome check_sysctl(const Primitives &p, const Args &args) {
	return p.policy().allows_sysctl(args[0].text) ? Outcome::fine() : Outcome::refused("the actuator's policy does not allow " + args[0].text);
}
void run_sysctl(Primitives &, const Args &args, const std::string &, Done done) { done(sysctl_write(args[0].text, args[1].text)); }
Outcome check_block(const Primitives &p, const Args &args) {
	return p.policy().allows_block(args[0].text) ? Outcome::fine() : Outcome::refused("the actuator's policy does not allow " + args[0].text);
}
void run_block(Primitives &, const Args &args, const std::string &, Done done) { done(block_write(args[0].text, args[1].text, args[2].text)); }

Outcome check_cgroup(const Primitives &p, const Args &args) {
	const std::string &controller = args[1].text;
	if (controller != "cpu" && controller != "memory" && controller != "freezer")
		return Outcome::refused("no cgroup controller " + controller);
	return p.services().check(args[0].text);
}
void run_cgroup(Primitives &p, const Args &args, const std::string &, Done done) {
	done(cgroup_write(args[0].text, args[1].text, args[2].number, p.services().pid_of(args[0].text)));
}

// Files

Outcome check_file(const Primitives &p, const Args &args) {
	return p.policy().root_of(args[0].text).empty() ? Outcome::refused(args[0].text + ": the actuator's policy does not allow this path") : Outcome::fine();
}
void run_replace(Primitives &p, const Args &args, const std::string &key, Done done) { done(file_replace(p.policy(), args[0].text, args[1].text, args[2].number, key)); }
void run_remove(Primitives &p, const Args &args, const std::string &key, Done done) { done(file_remove(p.policy(), args[0].text, key)); }
void run_rotate(Primitives &p, const Args &args, const std::string &key, Done done) { done(file_rotate(p.policy(), args[0].text, args[1].number, key)); }
void run_recall(Primitives &p, const Args &args, const std::string &key, Done done) { done(file_recall(p.policy(), args[0].text, args[1].text, p.archive(), key)); }
void run_restore(Primitives &p, const Args &args, const std::string &key, Done done) { done(file_restore(p.policy(), args[0].text, key, true)); }
void run_return(Primitives &p, const Args &args, const std::string &key, Done done) { done(file_restore(p.policy(), args[0].text, key, false)); }
void run_unrotate(Primitives &p, const Args &args, const std::string &key, Done done) { done(file_unrotate(p.policy(), args[0].text, args[1].number, key)); }

Outcome check_hide(const Primitives &p, const Args &args) {
	if (args[1].items.empty() || args[1].items.size() > kMaxHidden)
		return Outcome::refused(args[0].text + ": " + std::to_string(args[1].items.size()) + " names: must be 1 to 2,000");
	for (const Value &name : args[1].items)
		if (!name.is(Value::kText) || name.text.find('/') != std::string::npos || !is_plain_path(args[0].text + "/" + name.text))
			return Outcome::refused(args[0].text + ": each name must be that of a file in this directory");
	return p.policy().root_of(args[0].text + "/x").empty() ? Outcome::refused(args[0].text + ": the actuator's policy does not allow this path") : Outcome::fine();
}
void run_hide(Primitives &p, const Args &args, const std::string &key, Done done) { done(files_hide(p.policy(), args[0].text, args[1].items, key)); }
void run_show(Primitives &p, const Args &args, const std::string &key, Done done) { done(files_show(p.policy(), args[0].text, args[1].items, key)); }

// Network: addresses in a table of our own; nothing else of the firewall is touched.

// The address in its plain form, with its prefix; empty where it is none, or is this machine's own.
std::string plain_network(const std::string &text, bool *v6) {
	unsigned char bytes[16];
	char shown[INET6_ADDRSTRLEN];
	size_t slash = text.find('/');
	std::string address = text.substr(0, slash);
	*v6 = address.find(':') != std::string::npos;
	if (inet_pton(*v6 ? AF_INET6 : AF_INET, address.c_str(), bytes) != 1)
		return "";
	int most = *v6 ? 128 : 32;
	long prefix = most;
	if (slash != std::string::npos) {
		char *end;
		prefix = strtol(text.c_str() + slash + 1, &end, 10);
		if (slash + 1 == text.size() || *end != '\0' || !isdigit(static_cast<unsigned char>(text[slash + 1])))
			return "";
	}
	if (prefix < 8 || prefix > most || (!*v6 && bytes[0] == 127))
		return ""; // never a whole internet, nor this machine itself
	inet_ntop(*v6 ? AF_INET6 : AF_INET, bytes, shown, sizeof shown);
	return std::string(shown) + (prefix == most ? "" : "/" + std::to_string(prefix));
}

Outcome check_net(const Primitives &p, const Args &args) {
	bool v6;
	if (!p.policy().allows_net())
		return Outcome::refused("the actuator's policy does not allow network rules");
	if (access(kNft, X_OK) != 0)
		return Outcome::not_found("nft is not installed (package nftables)");
	return plain_network(args[0].text, &v6).empty() ? Outcome::refused(args[0].text + ": not an address, or one too wide") : Outcome::fine();
}

void run_nft(Primitives &p, const Args &args, bool block, Done done) {
	bool v6;
	std::string address = plain_network(args[0].text, &v6);
	std::string element = std::string("element inet kalos ") + (v6 ? "blocked6" : "blocked4") + " { " + address + " }\n";
	std::string rules = "add table inet kalos\n"
			    "add set inet kalos blocked4 { type ipv4_addr; flags interval; }\n"
			    "add set inet kalos blocked6 { type ipv6_addr; flags interval; }\n";
	for (const char *hook : {"input", "output"}) {
		std::string side = strcmp(hook, "input") == 0 ? " saddr " : " daddr ";
		rules += std::string("add chain inet kalos ") + hook + " { type filter hook " + hook + " priority -10; policy accept; }\n";
		rules += std::string("flush chain inet kalos ") + hook + "\n";
		rules += std::string("add rule inet kalos ") + hook + " ip" + side + "@blocked4 drop\n";
		rules += std::string("add rule inet kalos ") + hook + " ip6" + side + "@blocked6 drop\n";
	}
	rules += "add " + element; // so that taking away what is not there is no error
	if (!block)
		rules += "delete " + element;
	p.services().run_helper({kNft, "-f", "-"}, rules, kHelperMs, std::move(done));
}
void run_block_net(Primitives &p, const Args &args, const std::string &, Done done) { run_nft(p, args, true, std::move(done)); }
void run_unblock_net(Primitives &p, const Args &args, const std::string &, Done done) { run_nft(p, args, false, std::move(done)); }

// The rule of the policy by which each needs authorization; empty where none does.

std::string needs_service(const Primitives &p, const Args &args) { return p.policy().certified_by("service", args[0].text); }
std::string needs_unit(const Primitives &p, const Args &args) { return p.policy().certified_by("unit", args[1].text); }
std::string needs_program(const Primitives &p, const Args &args) { return args[1].items.empty() ? "" : p.policy().certified_by("program", args[1].items[0].text); }
std::string needs_nothing(const Primitives &, const Args &) { return ""; }
std::string needs_process(const Primitives &p, const Args &args) {
	pid_t pid = static_cast<pid_t>(args[0].number);
	std::string service = p.services().owner_of(pid);
	std::string by = service.empty() ? "" : p.policy().certified_by("service", service);
	return by.empty() ? p.policy().certified_by("process", process_name(pid)) : by;
}
std::string needs_sysctl(const Primitives &p, const Args &args) { return p.policy().certified_by("sysctl", args[0].text); }
std::string needs_block(const Primitives &p, const Args &args) { return p.policy().certified_by("block", args[0].text); }
std::string needs_file(const Primitives &p, const Args &args) { return p.policy().certified_by("path", args[0].text); }
std::string needs_files(const Primitives &p, const Args &args) {
	std::string by = p.policy().certified_by("path", args[0].text);
	for (const Value &name : args[1].items)
		by = by.empty() ? p.policy().certified_by("path", args[0].text + "/" + name.text) : by;
	return by;
}
std::string needs_rotated(const Primitives &p, const Args &args) { // the numbered ones too
	std::string by = needs_file(p, args);
	for (int64_t i = 1; i <= std::min(args[1].number, kMaxKeep); i++)
		by = by.empty() ? p.policy().certified_by("path", args[0].text + "." + std::to_string(i)) : by;
	return by;
}
std::string needs_net(const Primitives &p, const Args &) { return p.policy().certified_by("net", ""); }

// What is let go of once the change is to stay: what was kept for its undo.

void drop_nothing(const Primitives &, const Args &, const std::string &) {}
void settle_file(const Primitives &p, const Args &args, const std::string &key) { file_settle(p.policy(), args[0].text, key, p.archive()); }
void drop_hidden(const Primitives &p, const Args &args, const std::string &key) { files_drop(p.policy(), args[0].text, args[1].items, key); }

// Where each is done: in the loop, or apart, after what came before it in the same lane.

std::string in_loop(const Primitives &, const Args &) { return ""; }
std::string by_file(const Primitives &p, const Args &args) { return "files " + p.policy().root_of(args[0].text); }
std::string by_files(const Primitives &p, const Args &args) { return "files " + p.policy().root_of(args[0].text + "/x"); }
std::string by_setting(const Primitives &, const Args &args) { return "setting " + args[0].text; }

// Reads

Outcome read_process_of(const Primitives &, const Args &args, Encoder *answer) {
	return args[0].number > 0 && args[0].number <= INT32_MAX ? process_read(static_cast<pid_t>(args[0].number), answer) : Outcome::refused("pid " + std::to_string(args[0].number) + ": must be 1 to 2,147,483,647");
}
Outcome read_port(const Primitives &, const Args &args, Encoder *answer) {
	return args[0].number > 0 && args[0].number <= UINT16_MAX ? port_holder(static_cast<uint16_t>(args[0].number), answer) : Outcome::refused("port " + std::to_string(args[0].number) + ": must be 1 to 65,535");
}
Outcome read_sysctl(const Primitives &, const Args &args, Encoder *answer) {
	std::string text;
	Outcome outcome = sysctl_read(args[0].text, &text);
	answer->text(text);
	return outcome;
}
Outcome read_block(const Primitives &, const Args &args, Encoder *answer) {
	std::string text;
	Outcome outcome = block_read(args[0].text, args[1].text, &text);
	answer->text(text);
	return outcome;
}
Outcome read_cgroup(const Primitives &, const Args &args, Encoder *answer) {
	int64_t number;
	Outcome outcome = cgroup_read(args[0].text, args[1].text, &number);
	answer->number(number);
	return outcome;
}
Outcome read_stat(const Primitives &p, const Args &args, Encoder *answer) { return file_stat(p.policy(), args[0].text, answer); }
Outcome read_list(const Primitives &p, const Args &args, Encoder *answer) { return file_list(p.policy(), args[0].text, answer); }
Outcome read_file(const Primitives &p, const Args &args, Encoder *answer) { return file_read(p.policy(), args[0].text, answer); }
Outcome read_writers(const Primitives &p, const Args &args, Encoder *answer) { return file_writers(p.policy(), p.services(), args[0].text, answer); }
Outcome read_archive(const Primitives &p, const Args &args, Encoder *answer) {
	std::string content;
	if (!is_plain_name(args[0].text) || !read_whole(p.archive() + "/" + args[0].text, kMaxArchivedBytes, &content))
		return Outcome::not_found(args[0].text + ": no such backup is kept");
	answer->bytes(content);
	return Outcome::fine();
}

} // namespace

// kinds: t text, n number, b bytes, l list, one for each argument.
struct PrimitiveRow {
	const char *name;
	const char *kinds;
	bool outlives_boot;
	std::string (*needs)(const Primitives &, const Args &);
	std::string (*lane)(const Primitives &, const Args &);
	Outcome (*check)(const Primitives &, const Args &);
	void (*run)(Primitives &, const Args &, const std::string &key, Done);
	void (*settle)(const Primitives &, const Args &, const std::string &key);
};

namespace {

constexpr PrimitiveRow kTable[] = {
	{"service.start", "t", false, needs_service, in_loop, check_service, start_service, drop_nothing},
	{"service.stop", "t", false, needs_service, in_loop, check_service, stop_service, drop_nothing},
	{"unit", "tt", false, needs_unit, in_loop, check_unit, run_unit, drop_nothing},
	{"spawn", "tln", false, needs_program, in_loop, check_spawn, run_spawn, drop_nothing},
	{"spawn.end", "", false, needs_nothing, in_loop, check_nothing, end_spawn, drop_nothing},
	{"process.signal", "nnt", false, needs_process, in_loop, check_signal, run_signal, drop_nothing},
	{"process.end", "nnn", false, needs_process, in_loop, check_end, run_end, drop_nothing},
	{"process.nice", "nnn", false, needs_process, in_loop, check_process, run_nice, drop_nothing},
	{"process.ioprio", "nnnn", false, needs_process, in_loop, check_process, run_ioprio, drop_nothing},
	{"process.limit", "nntnn", false, needs_process, in_loop, check_process, run_limit, drop_nothing},
	{"sysctl.write", "tt", false, needs_sysctl, by_setting, check_sysctl, run_sysctl, drop_nothing},
	{"block.write", "ttt", false, needs_block, by_setting, check_block, run_block, drop_nothing},
	{"cgroup.write", "ttn", false, needs_service, by_setting, check_cgroup, run_cgroup, drop_nothing},
	{"file.replace", "tbn", true, needs_file, by_file, check_file, run_replace, settle_file},
	{"file.remove", "t", true, needs_file, by_file, check_file, run_remove, settle_file},
	{"file.rotate", "tn", true, needs_rotated, by_file, check_file, run_rotate, settle_file},
	{"file.recall", "tt", true, needs_file, by_file, check_file, run_recall, settle_file},
	{"file.restore", "t", true, needs_file, by_file, check_file, run_restore, settle_file},
	{"file.return", "t", true, needs_file, by_file, check_file, run_return, settle_file},
	{"file.unrotate", "tn", true, needs_rotated, by_file, check_file, run_unrotate, settle_file},
	{"files.hide", "tl", true, needs_files, by_files, check_hide, run_hide, drop_hidden},
	{"files.show", "tl", true, needs_files, by_files, check_hide, run_show, drop_nothing},
	{"net.block", "t", false, needs_net, in_loop, check_net, run_block_net, drop_nothing},
	{"net.unblock", "t", false, needs_net, in_loop, check_net, run_unblock_net, drop_nothing},
};

struct ReadRow {
	const char *name;
	const char *kinds;
	bool waits; // for files of others, or for as many processes as there are
	Outcome (*read)(const Primitives &, const Args &, Encoder *answer);
};

constexpr ReadRow kReads[] = {
	{"process.read", "n", false, read_process_of},
	{"port.holder", "n", true, read_port},
	{"sysctl.read", "t", false, read_sysctl},
	{"block.read", "tt", false, read_block},
	{"cgroup.read", "tt", false, read_cgroup},
	{"file.stat", "t", true, read_stat},
	{"file.list", "t", true, read_list},
	{"file.read", "t", true, read_file},
	{"file.writers", "t", true, read_writers},
	{"archive.read", "t", false, read_archive},
};

template <typename Row, size_t Size, typename Column> constexpr bool has_each(const Row (&table)[Size], Column Row::*column) {
	for (const Row &row : table)
		if (row.*column == nullptr)
			return false;
	return true;
}
static_assert(has_each(kTable, &PrimitiveRow::needs), "each primitive says by which rule it needs authorization");
static_assert(has_each(kTable, &PrimitiveRow::lane), "each primitive says where it is done");
static_assert(has_each(kTable, &PrimitiveRow::check), "each primitive says when it is allowed");
static_assert(has_each(kTable, &PrimitiveRow::run), "each primitive says how it is done");
static_assert(has_each(kTable, &PrimitiveRow::settle), "each primitive says what its change kept for an undo");
static_assert(has_each(kReads, &ReadRow::read), "each read says how it is done");

Args arguments(const Value &primitive) { return Args(primitive.items.begin() + 1, primitive.items.end()); }

template <typename Row, size_t Size> const Row *find(const Row (&table)[Size], const Value &primitive) {
	if (!primitive.is(Value::kArray) || primitive.items.empty() || !primitive.items[0].is(Value::kText))
		return nullptr;
	for (const Row &row : table)
		if (primitive.items[0].text == row.name)
			return are_of(primitive.items.data() + 1, primitive.items.size() - 1, row.kinds) ? &row : nullptr;
	return nullptr;
}

} // namespace

Outcome Primitives::check(const Value &primitive) const {
	const PrimitiveRow *row = find(kTable, primitive);
	return row == nullptr ? Outcome::refused("no such primitive, or not with these arguments") : row->check(*this, arguments(primitive));
}

Outcome Primitives::certified_by(const Value &primitive, std::string *rule) const {
	const PrimitiveRow *row = find(kTable, primitive);
	if (row == nullptr) // its rule is unknown
		return Outcome::refused("no such primitive, or not with these arguments");
	*rule = row->needs(*this, arguments(primitive));
	return Outcome::fine();
}

void Primitives::run(const Value &primitive, const std::string &key, Done done) {
	Outcome allowed = check(primitive);
	if (!allowed.ok())
		return done(allowed);
	const PrimitiveRow *row = find(kTable, primitive);
	Args args = arguments(primitive);
	std::string lane = row->lane(*this, args);
	if (lane.empty())
		return row->run(*this, args, key, std::move(done));
	auto work = [this, row, args, key](Encoder *) {
		Outcome ended;
		row->run(*this, args, key, [&ended](Outcome outcome) { ended = std::move(outcome); });
		return ended;
	};
	services_.apart().run(lane, kCopies * services_.answer_within_ms(), work, [done](const Outcome &outcome, const std::string &) { done(outcome); });
}

Outcome Primitives::intend(const Value &primitive, Services::Intent by) {
	const PrimitiveRow *row = find(kTable, primitive);
	return row != nullptr && row->run == stop_service ? services_.intend(primitive.items[1].text, by) : Outcome::fine();
}

void Primitives::settle(const std::vector<Step> &steps, std::function<void()> done) {
	std::map<std::string, std::vector<Step>> lanes;
	for (const Step &step : steps) {
		const PrimitiveRow *row = find(kTable, step.first);
		if (row != nullptr && row->settle != drop_nothing)
			lanes[row->lane(*this, arguments(step.first))].push_back(step);
	}
	auto left = std::make_shared<size_t>(lanes.size() + 1);
	auto over = [left, done] {
		if (--*left == 0)
			done();
	};
	for (const auto &[lane, kept] : lanes) {
		auto work = [this, kept = kept](Encoder *) {
			for (const auto &[primitive, key] : kept)
				find(kTable, primitive)->settle(*this, arguments(primitive), key);
			return Outcome::fine();
		};
		services_.apart().run(lane, kCopies * services_.answer_within_ms(), work, [over](const Outcome &, const std::string &) { over(); });
	}
	over();
}

bool Primitives::outlives_boot(const Value &primitive) {
	const PrimitiveRow *row = find(kTable, primitive);
	return row != nullptr && row->outlives_boot;
}

bool Primitives::read_waits(const Value &primitive) {
	const ReadRow *row = find(kReads, primitive);
	return row != nullptr && row->waits;
}

Outcome Primitives::read(const Value &primitive, Encoder *answer) const {
	const ReadRow *row = find(kReads, primitive);
	if (row == nullptr)
		return Outcome::refused("no such read, or not with these arguments");
	return row->read(*this, arguments(primitive), answer);
}

std::vector<std::string> Primitives::capabilities() const {
	std::vector<std::string> names{"services", "cgroups"};
	for (auto [kind, name] : {std::pair{"sysctl", "sysctls"}, {"path", "files"}, {"file", "files"}, {"block", "blocks"}, {"program", "programs"}, {"process", "processes"}, {"process-user", "processes"}, {"unit", "units"}})
		if (policy_.allows_any(kind) && names.back() != name)
			names.emplace_back(name);
	if (policy_.allows_net())
		names.emplace_back("net");
	return names;
}
