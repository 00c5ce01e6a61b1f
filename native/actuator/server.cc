// SPDX-License-Identifier: Apache-2.0
// Connections, frames, terms, and the dispatch of requests.
#include "server.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "files.h"
#include "machine.h"

namespace {

constexpr size_t kMaxConnections = 16;
constexpr size_t kMaxOutBytes = 4 << 20;
constexpr int64_t kFrameMs = 5000;       // a frame that has begun must be whole by then
constexpr size_t kChangesPerMinute = 60; // armed, by all agents together
constexpr off_t kMaxLogBytes = 10 << 20;
constexpr int kBacklog = 64;
constexpr int64_t kMaxCheckMs = 30000;

std::string printable(const std::string &text) {
	std::string shown;
	for (unsigned char c : text.substr(0, 400))
		shown += c < 0x20 || c == 0x7f ? '?' : static_cast<char>(c);
	return shown;
}

std::string describe(const Value &value) {
	switch (value.kind) {
	case Value::kNumber:
		return std::to_string(value.number);
	case Value::kBytes:
		return std::to_string(value.text.size()) + " bytes";
	case Value::kText:
		return printable(value.text);
	case Value::kArray:
		break;
	}
	std::string text = "[";
	for (const Value &item : value.items)
		text += (text.size() > 1 ? " " : "") + (text.size() < 600 ? describe(item) : std::string("…"));
	return text + "]";
}

bool matches(const Request &request, const char *kinds) { return are_of(request.arguments.data(), request.arguments.size(), kinds); }

} // namespace

bool parse_request(const uint8_t *data, size_t size, Request *out, const char **why) {
	Value value;
	if (!decode_cbor(data, size, &value, why))
		return false;
	*why = "a request is [version, id, operation, argument…]";
	if (!value.is(Value::kArray) || value.items.size() < 3 || !value.items[0].is(Value::kNumber) || !value.items[1].is(Value::kNumber) || !value.items[2].is(Value::kText))
		return false;
	if (value.items[0].number != kProtocolVersion) {
		*why = "this actuator speaks version 1";
		return false;
	}
	if (value.items[1].number < 1 || value.items[1].number > UINT32_MAX)
		return false;
	out->id = value.items[1].number;
	out->operation = value.items[2].text;
	out->arguments.assign(value.items.begin() + 3, value.items.end());
	return true;
}

Server::Server(Loop &loop, Policy &policy, ServerOptions options, Services &services, Primitives &primitives, Changes &changes, Authorizations &authorizations, AgentWatch &watch)
    : loop_(loop), policy_(policy), options_(std::move(options)), services_(services), primitives_(primitives), changes_(changes), authorizations_(authorizations), watch_(watch) {
	std::string saved;
	if (read_whole(options_.state + "/term", 64, &saved))
		term_ = strtoll(saved.c_str(), nullptr, 10);
	open_log();
}

// The old one is closed first: its descriptor is free for the new one.
void Server::open_log() {
	log_.reset();
	log_ = Fd(open((options_.state + "/actuator.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640));
}

// One line each, only ever appended; at 10 MiB it becomes actuator.log.1.
void Server::note(const std::string &text) {
	struct stat at;
	std::string path = options_.state + "/actuator.log";
	if (fstat(log_.get(), &at) == 0 && at.st_size > kMaxLogBytes) {
		rename(path.c_str(), (path + ".1").c_str());
		open_log();
	}
	char stamp[32];
	time_t now = time(nullptr);
	tm utc;
	gmtime_r(&now, &utc);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ ", &utc);
	std::string line = stamp + printable(text) + "\n";
	(void)!write(log_.get(), line.data(), line.size());
}

bool Server::listen(std::string *why) {
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	if (options_.socket.size() >= sizeof address.sun_path) {
		*why = options_.socket + ": too long for a socket (107 bytes)";
		return false;
	}
	memcpy(address.sun_path, options_.socket.data(), options_.socket.size());
	listener_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	unlink(options_.socket.c_str());
	mode_t before = umask(0177);
	bool bound = listener_.ok() && bind(listener_.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0;
	umask(before);
	if (!bound || ::listen(listener_.get(), kBacklog) != 0 || (geteuid() == 0 && lchown(options_.socket.c_str(), options_.agent_uid, static_cast<gid_t>(-1)) != 0)) {
		*why = options_.socket + ": " + strerror(errno);
		return false;
	}
	loop_.watch(listener_.get(), POLLIN, [this](short) { accept_one(); });
	return true;
}

void Server::accept_one() {
	Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
	if (!fd.ok())
		return;
	ucred peer{};
	socklen_t length = sizeof peer;
	bool known = getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0;
	if (!known || (peer.uid != options_.agent_uid && peer.uid != 0 && peer.uid != geteuid())) {
		refused_connections_++;
		if (Loop::now_ms() - refused_reported_ms_ > 1000) {
			refused_reported_ms_ = Loop::now_ms();
			note("refused connections so far: " + std::to_string(refused_connections_) + "; the last of uid " + std::to_string(peer.uid) + " pid " + std::to_string(peer.pid));
		}
		return;
	}
	make_room();
	auto connection = std::make_unique<Connection>();
	connection->serial = next_serial_++;
	connection->fd = std::move(fd);
	connection->uid = peer.uid;
	connection->pid = peer.pid;
	connection->supervised = services_.started(peer.pid); // 0, of another PID namespace, is none
	connection->active_ms = Loop::now_ms();
	uint64_t serial = connection->serial;
	loop_.watch(connection->fd.get(), POLLIN, [this, serial](short) { readable(serial); });
	connections_[serial] = std::move(connection);
}

// Full: the one that was silent longest goes, but never the agent's.
void Server::make_room() {
	if (connections_.size() < kMaxConnections)
		return;
	Connection *oldest = nullptr;
	for (const auto &[serial, connection] : connections_)
		if ((connection->term == 0 || connection->term != term_) && (oldest == nullptr || connection->active_ms < oldest->active_ms))
			oldest = connection.get();
	if (oldest != nullptr)
		drop(oldest->serial, "too many connections");
}

Server::Connection *Server::find(uint64_t serial) {
	auto found = connections_.find(serial);
	return found == connections_.end() ? nullptr : found->second.get();
}

void Server::drop(uint64_t serial, const std::string &why) {
	Connection *connection = find(serial);
	if (connection == nullptr)
		return;
	loop_.unwatch(connection->fd.get());
	loop_.cancel(connection->slow);
	bool agent = connection->term != 0 && connection->term == term_;
	if (!why.empty() && why != "too many connections")
		note("connection of pid " + std::to_string(connection->pid) + " closed: " + why);
	connections_.erase(serial);
	if (agent) {
		policy_.protected_pid = 0;
		watch_.gone();
		changes_.agent_gone();
	}
}

void Server::readable(uint64_t serial) {
	Connection *connection = find(serial);
	char buffer[65536];
	ssize_t got = recv(connection->fd.get(), buffer, sizeof buffer, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return flush(connection);
	if (got <= 0)
		return drop(serial, "");
	connection->in.append(buffer, static_cast<size_t>(got));
	connection->active_ms = Loop::now_ms();
	while (take_frame(serial)) {
	}
	connection = find(serial); // a frame may have been its last
	if (connection == nullptr)
		return;
	loop_.cancel(connection->slow);
	connection->slow = 0;
	if (!connection->in.empty())
		connection->slow = loop_.after(kFrameMs, [this, serial] { drop(serial, "a frame took longer than 5 s"); });
	flush(connection);
}

// True where a frame was taken and another may follow.
bool Server::take_frame(uint64_t serial) {
	Connection *connection = find(serial);
	if (connection == nullptr)
		return false;
	std::string &in = connection->in;
	if (in.size() < kFrameHeadBytes)
		return false;
	size_t length = 0;
	for (size_t i = 0; i < kFrameHeadBytes; i++)
		length = length << 8 | static_cast<uint8_t>(in[i]);
	if (length == 0 || length > kMaxFrameBytes) { // said before a byte of it is kept
		drop(serial, "a frame of " + std::to_string(length) + " bytes; at most 1 MiB");
		return false;
	}
	if (in.size() < kFrameHeadBytes + length)
		return false;
	Request request;
	const char *why = "";
	bool good = parse_request(reinterpret_cast<const uint8_t *>(in.data()) + kFrameHeadBytes, length, &request, &why);
	in.erase(0, kFrameHeadBytes + length);
	if (!good) {
		drop(serial, std::string("not a request: ") + why);
		return false;
	}
	handle(connection, request);
	return true;
}

void Server::send(Connection *connection, const std::string &body) {
	for (size_t i = 0; i < kFrameHeadBytes; i++)
		connection->out.push_back(static_cast<char>(body.size() >> (8 * (kFrameHeadBytes - 1 - i))));
	connection->out += body;
	flush(connection);
}

void Server::flush(Connection *connection) {
	while (!connection->out.empty()) {
		ssize_t sent = ::send(connection->fd.get(), connection->out.data(), connection->out.size(), MSG_NOSIGNAL);
		if (sent <= 0)
			break;
		connection->out.erase(0, static_cast<size_t>(sent));
	}
	uint64_t serial = connection->serial;
	if (connection->out.size() > kMaxOutBytes) { // it does not read
		loop_.after(0, [this, serial] { drop(serial, "it does not read its answers"); });
		return;
	}
	short events = static_cast<short>(POLLIN | (connection->out.empty() ? 0 : POLLOUT));
	loop_.watch(connection->fd.get(), events, [this, serial](short) { readable(serial); });
}

void Server::event(const std::string &service, bool by_itself) {
	Encoder body;
	body.array(5).number(kProtocolVersion).number(0).text("service");
	services_.encode(service, &body);
	body.number(by_itself);
	for (const auto &[serial, connection] : connections_)
		if (connection->term != 0 && connection->term == term_)
			send(connection.get(), body.data());
}

// Only the newest agent changes anything: what one before it still asks for is too late.
Outcome Server::holds_term(const Connection &connection) const {
	if (connection.term == 0)
		return Outcome::refused("say hello first");
	return connection.term == term_ ? Outcome::fine() : Outcome::refused("stale term " + std::to_string(connection.term) + ": term " + std::to_string(term_) + " has begun");
}

bool Server::change_allowed() {
	int64_t now = Loop::now_ms();
	while (!recent_changes_.empty() && now - recent_changes_.front() > 60000)
		recent_changes_.pop_front();
	if (recent_changes_.size() >= kChangesPerMinute)
		return false;
	recent_changes_.push_back(now);
	return true;
}

void Server::hello(Connection *connection, const Answer &answer) {
	Outcome saved = write_durably(options_.state, "term", std::to_string(term_ + 1));
	if (!saved.ok()) // it counts the agents of this program's life, which the connections end with: no reason to be without one
		note("the term is not recorded: " + saved.message);
	connection->term = ++term_;
	policy_.protected_pid = connection->pid;
	changes_.agent_back();
	note("agent pid " + std::to_string(connection->pid) + " uid " + std::to_string(connection->uid) + " has term " + std::to_string(term_));
	std::vector<std::string> names = primitives_.capabilities();
	names.emplace_back("intent"); // confirm takes whose it is
	names.emplace_back("beat");
	if (geteuid() == 0)
		names.emplace_back("own-users"); // services run as users of their own
	if (authorizations_.has_judge())
		names.emplace_back("leave");
	Encoder items;
	items.array(4).number(term_).text(boot_id()).number(options_.owned).array(names.size());
	for (const std::string &name : names)
		items.text(name);
	answer(Outcome::fine(), items.data());
}

// A change that needs an authorization, or is shown one, is armed once that was judged to hold.
void Server::arm(const Connection &connection, const Request &request, Done done) {
	const auto &arguments = request.arguments;
	auto armed = [this, id = arguments[0].text, fire_after_ms = arguments[1].number, steps = arguments[2]] { return changes_.arm(id, fire_after_ms, steps); };
	if (!change_allowed())
		return done(Outcome::refused("60 changes were armed within a minute: try again later"));
	std::string rule;
	Outcome known = changes_.certified_by(arguments[2], &rule);
	if (!known.ok())
		return done(known);
	bool shown = arguments.size() > 3;
	if (!rule.empty() && !(shown && authorizations_.has_judge()))
		return done(Outcome::refused("it needs an authorization (certify " + rule + "): " + (authorizations_.has_judge() ? "a certificate, or two operators' signatures (kalos change draft)" : "this actuator has no judge: start it with --judge PROGRAM")));
	Outcome sound = shown && authorizations_.has_judge() ? changes_.check(arguments[2]) : Outcome::fine();
	if (!shown || !authorizations_.has_judge() || !sound.ok())
		return done(sound.ok() ? armed() : sound);
	authorizations_.judge(arguments[0].text, arguments[2], arguments[3].text, policy_.swarm(), [this, serial = connection.serial, armed, done](Outcome outcome) {
		const Connection *asker = find(serial); // another agent may have begun meanwhile
		if (outcome.ok())
			outcome = asker == nullptr ? Outcome::refused("the agent that asked is gone") : holds_term(*asker);
		done(outcome.ok() ? armed() : outcome);
	});
}

bool Server::dispatch_change(Connection *connection, const Request &request, const Answer &answer) {
	const auto &arguments = request.arguments;
	const std::string &operation = request.operation;
	Outcome held = holds_term(*connection);
	auto plain = [answer](Outcome outcome) { answer(std::move(outcome), ""); };
	if (operation == "declare" && matches(request, "l"))
		plain(held.ok() ? services_.declare(arguments[0]) : held);
	else if (operation == "up" && matches(request, "t"))
		held.ok() ? services_.start(arguments[0].text, plain) : plain(held);
	else if (operation == "hold" && matches(request, "tnnn"))
		held.ok() ? services_.hold(arguments[0].text, {arguments[1].number, arguments[2].number}, arguments[3].number, plain) : plain(held);
	else if (operation == "release" && matches(request, "t"))
		held.ok() ? services_.release(arguments[0].text, plain) : plain(held);
	else if (operation == "arm" && (matches(request, "tnl") || matches(request, "tnlb")))
		held.ok() ? arm(*connection, request, plain) : plain(held);
	else if (operation == "apply" && matches(request, "tn"))
		held.ok() ? changes_.apply(arguments[0].text, arguments[1].number, plain) : plain(held);
	else if (operation == "confirm" && (matches(request, "t") || matches(request, "tn"))) // agents before 0.4.0 did not say whose it is
		held.ok() ? changes_.confirm(arguments[0].text, arguments.size() < 2 || arguments[1].number != 0, plain) : plain(held);
	else if (operation == "undo" && matches(request, "tt"))
		held.ok() ? changes_.undo(arguments[0].text, arguments[1].text, plain) : plain(held);
	else
		return false;
	return true;
}

bool Server::dispatch_read(const Request &request, const Answer &answer) {
	const auto &arguments = request.arguments;
	const std::string &operation = request.operation;
	Encoder items;
	if (operation == "stalls" && matches(request, "")) {
		watch_.encode(&items);
		answer(Outcome::fine(), items.data());
	} else if (operation == "state" && matches(request, "t")) {
		changes_.state(arguments[0].text, &items);
		answer(Outcome::fine(), items.data());
	} else if (operation == "try" && matches(request, "l")) {
		answer(changes_.check(arguments[0]), "");
	} else if (operation == "services" && matches(request, "")) {
		std::vector<std::string> names = services_.names();
		items.array(names.size());
		for (const std::string &name : names)
			services_.encode(name, &items);
		answer(Outcome::fine(), items.data());
	} else if (operation == "read" && matches(request, "l")) {
		auto report = [answer](const Outcome &outcome, const std::string &read) { answer(outcome, outcome.ok() ? read : ""); };
		if (Primitives::read_waits(arguments[0])) {
			auto work = [this, what = arguments[0]](Encoder *read) { return primitives_.read(what, read); };
			services_.apart().run("", services_.answer_within_ms(), work, report);
		} else {
			Outcome outcome = primitives_.read(arguments[0], &items);
			report(outcome, items.data());
		}
	} else if (operation == "check" && matches(request, "tln")) {
		std::vector<std::string> argv;
		for (const Value &item : arguments[1].items)
			argv.push_back(item.is(Value::kText) ? item.text : "");
		if (!services_.declared(arguments[0].text) || argv.empty() || arguments[2].number < 1 || arguments[2].number > kMaxCheckMs)
			answer(Outcome::refused("a check needs a declared service, a command and 1 to 30,000 ms"), "");
		else
			services_.run_check(arguments[0].text, argv, arguments[2].number, [answer](Outcome outcome) { answer(std::move(outcome), ""); });
	} else {
		return false;
	}
	return true;
}

void Server::handle(Connection *connection, const Request &request) {
	uint64_t serial = connection->serial;
	bool reads = request.operation == "beat" || request.operation == "stalls" || request.operation == "read" || request.operation == "try" || request.operation == "state" || request.operation == "services" || request.operation == "check";
	std::string line;
	if (!reads) {
		line = "pid " + std::to_string(connection->pid) + " term " + std::to_string(connection->term) + " " + printable(request.operation);
		for (const Value &argument : request.arguments)
			line += " " + (request.operation == "declare" ? std::to_string(argument.items.size()) + " services" : describe(argument));
	}
	bool is_hold = request.operation == "hold";
	Answer answer = [this, serial, id = request.id, line, is_hold](const Outcome &outcome, const std::string &items) {
		bool renewed = is_hold && outcome.ok() && outcome.message.empty(); // each few seconds: not worth a line
		if (!line.empty() && !renewed)
			note(line + ": " + (outcome.ok() ? "ok" : outcome.message));
		Connection *asker = find(serial);
		if (asker == nullptr)
			return; // gone meanwhile: what was done is on disk
		Encoder body;
		body.array(5).number(kProtocolVersion).number(id).number(outcome.code).text(outcome.message).bytes(items);
		send(asker, body.data());
	};
	if (connection->supervised) {
		answer(Outcome::refused("this process was started by the actuator, which takes no requests from its own services and programs"), "");
		loop_.after(0, [this, serial] { drop(serial, "it was started by this actuator"); });
	} else if (request.operation == "hello" && matches(request, "")) {
		hello(connection, answer);
	} else if (request.operation == "beat" && matches(request, "n")) {
		Outcome held = holds_term(*connection);
		if (held.ok())
			watch_.beat(connection->pid, request.arguments[0].number);
		answer(held, "");
	} else if (request.operation == "shutdown" && matches(request, "")) {
		Outcome held = holds_term(*connection);
		if (held.ok() && !options_.owned)
			held = Outcome::refused("it does not belong to this agent");
		answer(held, "");
		if (held.ok())
			on_shutdown();
	} else if (!dispatch_change(connection, request, answer) && !dispatch_read(request, answer)) {
		answer(Outcome::refused("no such operation, or not with these arguments"), "");
	}
}
