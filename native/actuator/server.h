// SPDX-License-Identifier: Apache-2.0
// The socket: who may speak, how much, how fast, and what each request does. A frame is a length (4 bytes, big-endian) and
// a CBOR array: [version, id, operation, argument…], answered by [version, id, code, message, item…]; id 0 is an event.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "../fd.h"
#include "changes.h"
#include "authorizations.h"
#include "loop.h"
#include "policy.h"
#include "primitives.h"
#include "services.h"
#include "watch.h"

constexpr int64_t kProtocolVersion = 1;
constexpr size_t kFrameHeadBytes = 4;

// Takes one frame's body apart; false with the reason where it is not a request. No I/O: this is what the fuzzer feeds.
struct Request {
	int64_t id = 0;
	std::string operation;
	std::vector<Value> arguments;
};
bool parse_request(const uint8_t *data, size_t size, Request *out, const char **why);

struct ServerOptions {
	std::string socket;
	std::string state;
	uid_t agent_uid = 0;
	bool owned = false; // started by an agent, for it alone: that agent may end it
};

class Server {
public:
	Server(Loop &loop, Policy &policy, ServerOptions options, Services &services, Primitives &primitives, Changes &changes, Authorizations &authorizations, AgentWatch &watch);
	// False with the reason in *why.
	bool listen(std::string *why);
	void event(const std::string &service, bool by_itself);
	void note(const std::string &text);
	std::function<void()> on_shutdown;

private:
	struct Connection {
		uint64_t serial = 0;
		Fd fd;
		uid_t uid = 0;
		pid_t pid = 0;
		bool supervised = false; // started by this process: no requests are taken from it
		std::string in;
		std::string out;
		int64_t term = 0; // 0: not the agent
		int64_t active_ms = 0;
		Loop::Timer slow = 0;
	};
	using Answer = std::function<void(Outcome, const std::string &items)>;

	void accept_one();
	void make_room();
	void readable(uint64_t serial);
	bool take_frame(uint64_t serial);
	void send(Connection *connection, const std::string &body);
	void flush(Connection *connection);
	void drop(uint64_t serial, const std::string &why);
	void handle(Connection *connection, const Request &request);
	void hello(Connection *connection, const Answer &answer);
	Outcome holds_term(const Connection &connection) const;
	bool change_allowed();
	void arm(const Connection &connection, const Request &request, Done done);
	bool dispatch_change(Connection *connection, const Request &request, const Answer &answer);
	bool dispatch_read(const Request &request, const Answer &answer);
	void open_log();
	Connection *find(uint64_t serial);

	Loop &loop_;
	Policy &policy_;
	ServerOptions options_;
	Services &services_;
	Primitives &primitives_;
	Changes &changes_;
	Authorizations &authorizations_;
	AgentWatch &watch_;
	Fd listener_;
	Fd log_;
	int64_t term_ = 0;
	uint64_t next_serial_ = 1;
	std::map<uint64_t, std::unique_ptr<Connection>> connections_;
	std::deque<int64_t> recent_changes_;
	int64_t refused_connections_ = 0;
	int64_t refused_reported_ms_ = 0;
};
