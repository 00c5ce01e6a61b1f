// SPDX-License-Identifier: Apache-2.0
// kalos-actuator: the small program that holds the privileges. It does what its table, its policy and its armed undos
// allow, for one agent, over one socket; it is the parent of the services; with --init it is PID 1 of a machine or container.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <memory>
#ifdef __GLIBC__
#include <nss.h>
#endif
#include <poll.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fd.h"
#include "changes.h"
#include "child.h"
#include "files.h"
#include "authorizations.h"
#include "loop.h"
#include "policy.h"
#include "primitives.h"
#include "server.h"
#include "services.h"
#include "watch.h"

namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;
constexpr int64_t kAgentGraceMs = 15000;
constexpr int64_t kOthersGraceMs = 2000;
constexpr int64_t kFirstBackoffMs = 500;
constexpr int64_t kMostBackoffMs = 30000;
constexpr int64_t kLongLifeMs = 60000;
constexpr int64_t kStallLimitMs = 30000, kMinStallLimitMs = 4000;
constexpr int64_t kAnswerWithinMs = 10000, kMinAnswerWithinMs = 500;

const char kUsage[] =
	"usage: kalos-actuator --state DIR [--socket PATH] [--policy FILE] [--agent USER] [--judge PROGRAM] [--owned] [--systemctl PATH] [--stall-limit MS] [--answer-within MS] [--watchdog DEVICE]\n"
	"       kalos-actuator --init --state DIR [--agent USER] … -- COMMAND [ARGUMENT…]\n"
	"       kalos-actuator --check-policy FILE\n"
	"\n"
	"Holds the privileges for a KALOS agent and carries out what its policy allows.\n"
	"  --state DIR         its own directory: armed undos, services, log; made if missing\n"
	"  --socket PATH       where the agent connects; default DIR/sock\n"
	"  --policy FILE       what it may touch; default DIR/policy. Nothing but services is allowed without it\n"
	"  --agent USER        the user that the agent runs as; default this one\n"
	"  --judge PROGRAM     the kalos command: judges authorizations of what the policy has certified, run without privileges\n"
	"  --owned             it belongs to the agent that started it, which may end it\n"
	"  --stall-limit MS    kill an agent that sends no heartbeat for this long, if something restarts it; at least 4000, default 30000\n"
	"  --answer-within MS  give up a read, or the start of a service, whose files do not answer for this long; a change after six times as long; default 10000\n"
	"  --watchdog DEVICE   a hardware watchdog, such as /dev/watchdog, that resets the machine when this program hangs\n"
	"  --init              be the first process: run COMMAND (the agent) as USER, keep it running, reap, shut down in order\n"
	"  --check-policy FILE says whether a policy is good, and what each rule makes possible\n";

struct Options {
	ServerOptions server;
	std::string policy;
	std::string agent;
	std::string judge;
	std::string systemctl = "/usr/bin/systemctl";
	std::string watchdog;
	int64_t stall_limit_ms = kStallLimitMs;
	int64_t answer_within_ms = kAnswerWithinMs;
	bool init = false;
	std::vector<std::string> command;
};

[[noreturn]] void die(int code, const std::string &text) {
	fprintf(stderr, "kalos-actuator: %s\n", text.c_str());
	exit(code);
}

int check_policy(const std::string &file) {
	Policy policy;
	std::string text, why;
	if (Policy::load(file, &policy, &text, &why) != Policy::kLoaded)
		die(kExitError, why);
	printf("%s: good\n", file.c_str());
	for (const std::string &line : policy.lint())
		printf("  %s\n", line.c_str());
	return 0;
}

int64_t milliseconds(const std::string &option, const std::string &text, int64_t min) {
	int64_t number = strtoll(text.c_str(), nullptr, 10);
	if (number < min)
		die(kExitUsage, option + " " + text + ": must be milliseconds, at least " + std::to_string(min));
	return number;
}

Options parse_options(int argc, char **argv) {
	Options options;
	for (int i = 1; i < argc; i++) {
		std::string word = argv[i];
		auto value = [&] {
			if (i + 1 >= argc)
				die(kExitUsage, word + " needs a value; see --help");
			return std::string(argv[++i]);
		};
		if (word == "--help") {
			fputs(kUsage, stdout);
			exit(0);
		} else if (word == "--check-policy") {
			exit(check_policy(value()));
		} else if (word == "--state") {
			options.server.state = value();
		} else if (word == "--socket") {
			options.server.socket = value();
		} else if (word == "--policy") {
			options.policy = value();
		} else if (word == "--agent") {
			options.agent = value();
		} else if (word == "--judge") {
			options.judge = value();
		} else if (word == "--systemctl") {
			options.systemctl = value();
		} else if (word == "--watchdog") {
			options.watchdog = value();
		} else if (word == "--stall-limit") {
			options.stall_limit_ms = milliseconds(word, value(), kMinStallLimitMs);
		} else if (word == "--answer-within") {
			options.answer_within_ms = milliseconds(word, value(), kMinAnswerWithinMs);
		} else if (word == "--owned") {
			options.server.owned = true;
		} else if (word == "--init") {
			options.init = true;
		} else if (word == "--") {
			options.command.assign(argv + i + 1, argv + argc);
			break;
		} else {
			die(kExitUsage, "unknown option " + word + "; see --help");
		}
	}
	if (options.server.state.empty() || options.server.state[0] != '/')
		die(kExitUsage, "--state needs an absolute directory; see --help");
	if (options.init == options.command.empty())
		die(kExitUsage, "a command after -- goes with --init; see --help");
	if (options.server.socket.empty())
		options.server.socket = options.server.state + "/sock";
	if (options.policy.empty())
		options.policy = options.server.state + "/policy";
	options.server.agent_uid = getuid();
	if (!options.agent.empty()) {
		const passwd *user = getpwnam(options.agent.c_str());
		if (user == nullptr)
			die(kExitUsage, "no user " + options.agent);
		options.server.agent_uid = user->pw_uid;
	}
	return options;
}

// Writable by this user alone; others may pass through to read a service's log. The lock on it, held for as long as it is open.
Fd make_state(const std::string &state) {
	for (const char *part : {"", "/services", "/changes", "/archive"}) {
		std::string path = state + part;
		struct stat at;
		if (mkdir(path.c_str(), 0711) != 0 && errno != EEXIST)
			die(kExitError, path + ": " + strerror(errno));
		if (lstat(path.c_str(), &at) != 0 || !S_ISDIR(at.st_mode) || at.st_uid != geteuid())
			die(kExitError, path + ": must be a directory of this user's");
		chmod(path.c_str(), strcmp(part, "/archive") == 0 || strcmp(part, "/changes") == 0 ? 0700 : 0711);
	}
	Fd lock(open((state + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (!lock.ok() && refuses_writes(errno)) // one that is there serves as well
		lock = Fd(open((state + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
	if (!lock.ok())
		die(kExitError, state + "/lock: " + strerror(errno));
	if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
		die(kExitError, state + ": another actuator runs on it");
	std::string pid = std::to_string(getpid()) + "\n";
	(void)!ftruncate(lock.get(), 0);
	(void)!write(lock.get(), pid.data(), pid.size());
	return lock;
}

class Program {
public:
	explicit Program(Options options) : options_(std::move(options)) {}

	int run() {
		lock_ = make_state(options_.server.state);
		block_signals();
		services_ = std::make_unique<Services>(loop_, policy_, options_.server.state + "/services", options_.server.agent_uid, options_.answer_within_ms,
						       [this](const std::string &name, bool by_itself) {
							       if (server_)
								       server_->event(name, by_itself);
						       });
		primitives_ = std::make_unique<Primitives>(policy_, *services_, options_.server.state + "/archive", options_.systemctl);
		changes_ = std::make_unique<Changes>(loop_, *primitives_, options_.server.state + "/changes", [this](const std::string &text) { server_->note(text); });
		authorizations_ = std::make_unique<Authorizations>(loop_, options_.server.state, options_.judge, options_.server.owned);
		watch_ = std::make_unique<AgentWatch>(loop_, options_.server.state, options_.stall_limit_ms, options_.init, [this](const std::string &text) {
			if (server_)
				server_->note(text);
		});
		alive_ = std::make_unique<Alive>(loop_, options_.watchdog);
		server_ = std::make_unique<Server>(loop_, policy_, options_.server, *services_, *primitives_, *changes_, *authorizations_, *watch_);
		services_->on_other = [this](pid_t pid, int status) { child_ended(pid, status); };
		server_->on_shutdown = [this] { shut_down(SIGTERM); };
		load_policy();
		services_->recall();
		changes_->recover();
		std::string why;
		if (!server_->listen(&why) || !alive_->open(&why))
			die(kExitError, why);
		alive_->ready();
		server_->note("started, pid " + std::to_string(getpid()));
		if (options_.init)
			start_agent();
		loop_.run();
		return exit_code_;
	}

private:
	void block_signals() {
		sigset_t set;
		sigemptyset(&set);
		for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP})
			sigaddset(&set, number);
		sigprocmask(SIG_BLOCK, &set, nullptr);
		signal(SIGPIPE, SIG_IGN);
		signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
		loop_.watch(signals_.get(), POLLIN, [this](short) {
			signalfd_siginfo info;
			while (read(signals_.get(), &info, sizeof info) == sizeof info)
				signalled(static_cast<int>(info.ssi_signo));
		});
		if (getpid() != 1)
			prctl(PR_SET_CHILD_SUBREAPER, 1); // what services leave behind stays known as theirs
	}

	void signalled(int number) {
		if (number == SIGCHLD)
			services_->reap();
		else if (number == SIGHUP) {
			load_policy();
			if (agent_ > 0) // with --init the signal came to the first process
				kill(agent_, SIGHUP);
		} else
			shut_down(number);
	}

	// The last good policy holds until a better one is there; a file that is gone allows nothing.
	void load_policy() {
		Policy fresh;
		std::string text, why;
		pid_t agent = policy_.protected_pid;
		Policy::Loaded loaded = Policy::load(options_.policy, &fresh, &text, &why);
		if (loaded == Policy::kBad) {
			server_->note("policy not taken: " + why + "; the last good one holds");
			fprintf(stderr, "kalos-actuator: policy not taken: %s; the last good one holds\n", why.c_str());
			std::string good;
			if (have_policy_ || !read_whole(options_.server.state + "/policy.good", kMaxPolicyBytes, &good) || !Policy::parse(good, &fresh, &why)) {
				if (!have_policy_)
					Policy::parse("", &policy_, &why);
				return;
			}
		} else if (loaded == Policy::kMissing) {
			Policy::parse("", &fresh, &why);
			unlink((options_.server.state + "/policy.good").c_str());
		} else {
			write_durably(options_.server.state, "policy.good", text);
		}
		fresh.protect_path(options_.server.state);
		fresh.protect_path(options_.policy);
		fresh.protected_pid = agent;
		policy_ = fresh;
		have_policy_ = true;
	}

	// --init: the agent

	void start_agent() {
		agent_started_ms_ = Loop::now_ms();
		agent_ = fork();
		services_->agent_child = agent_;
		if (agent_ != 0)
			return;
		reset_signals();
		setsid();
		const passwd *user = getpwuid(options_.server.agent_uid);
		if (options_.server.agent_uid != getuid() && user != nullptr) {
			if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)
				_exit(127);
			setenv("HOME", user->pw_dir, 1);
			setenv("USER", user->pw_name, 1);
		}
		setenv("KALOS_ACTUATOR", options_.server.socket.c_str(), 1);
		std::vector<char *> argv = pointers_to(options_.command);
		execvp(argv[0], argv.data());
		fprintf(stderr, "kalos-actuator: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}

	void child_ended(pid_t pid, int status) {
		if (authorizations_->ended(pid, status))
			return;
		if (pid != agent_)
			return; // an orphan: reaped, and that is all
		agent_ = services_->agent_child = 0;
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (stopping_)
			return stop_services();
		server_->note("the agent ended with status " + std::to_string(code));
		if (code == 0 || code == kExitUsage || code == 127) { // left on purpose, or would only fail again
			exit_code_ = code;
			return shut_down(SIGTERM);
		}
		backoff_ms_ = Loop::now_ms() - agent_started_ms_ > kLongLifeMs ? kFirstBackoffMs : std::min(backoff_ms_ * 2, kMostBackoffMs);
		loop_.after(std::max(backoff_ms_, watch_->pause_ms()), [this] {
			if (!stopping_)
				start_agent();
		});
	}

	// The agent first, so that it starts nothing more; then the services, the newest first; then all other processes.
	void shut_down(int number) {
		if (stopping_)
			return;
		stopping_ = true;
		server_->note("shutting down");
		alive_->stopping();
		if (agent_ == 0)
			return stop_services();
		kill(agent_, number);
		loop_.after(kAgentGraceMs, [this] {
			if (agent_ != 0)
				kill(agent_, SIGKILL);
		});
	}

	void stop_services() {
		services_->stop_all([this] {
			if (getpid() != 1)
				return finish();
			kill(-1, SIGTERM);
			kill(-1, SIGCONT);
			loop_.after(kOthersGraceMs, [this] {
				kill(-1, SIGKILL);
				services_->reap();
				finish();
			});
			wait_for_last();
		});
	}

	void wait_for_last() {
		services_->reap();
		if (waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD)
			return finish();
		loop_.after(20, [this] { wait_for_last(); });
	}

	void finish() {
		server_->note("ended");
		alive_->stopped();
		unlink(options_.server.socket.c_str());
		loop_.stop();
	}

	Options options_;
	Fd lock_;
	Fd signals_;
	Loop loop_;
	Policy policy_;
	bool have_policy_ = false;
	std::unique_ptr<Services> services_;
	std::unique_ptr<Primitives> primitives_;
	std::unique_ptr<Changes> changes_;
	std::unique_ptr<Authorizations> authorizations_;
	std::unique_ptr<AgentWatch> watch_;
	std::unique_ptr<Alive> alive_;
	std::unique_ptr<Server> server_;
	pid_t agent_ = 0;
	int64_t agent_started_ms_ = 0;
	int64_t backoff_ms_ = kFirstBackoffMs;
	bool stopping_ = false;
	int exit_code_ = 0;
};

} // namespace

int main(int argc, char **argv) {
#ifdef __GLIBC__
	// Users and groups of this machine's own files: a directory service over the network may not answer.
	for (const char *database : {"passwd", "group", "initgroups"})
		__nss_configure_lookup(database, "files");
#endif
	Program program(parse_options(argc, argv));
	return program.run();
}
