// SPDX-License-Identifier: Apache-2.0
// A service to do harm to, for the benchmark `healing`: it answers HTTP on a port, and does what a control file tells it,
// once. Modes beside that: `hold` takes a port from somebody, `dial` keeps connections open, `dns` answers every question.
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

std::atomic<bool> hung{false}, erroring{false}, mute{false};
std::atomic<int> reloads{0};
std::vector<char *> leaked;

void sleep_ms(int ms) { usleep(static_cast<useconds_t>(ms) * 1000); }

std::string read_file(const std::string &path) {
	std::string text;
	char buffer[4096];
	int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	for (ssize_t got; fd >= 0 && (got = read(fd, buffer, sizeof buffer)) > 0;)
		text.append(buffer, static_cast<size_t>(got));
	if (fd >= 0)
		close(fd);
	return text;
}

sockaddr_in address_of(const char *host, int port) {
	sockaddr_in address{};
	address.sin_family = AF_INET;
	address.sin_port = htons(static_cast<uint16_t>(port));
	inet_pton(AF_INET, host, &address.sin_addr);
	return address;
}

int listen_on(int port) {
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	sockaddr_in address = address_of("127.0.0.1", port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0 && listen(fd, 1024) == 0)
		return fd;
	close(fd);
	return -1;
}

// Busy for a share of the time, for so many seconds.
void burn(double share, double seconds) {
	for (double spent = 0; spent < seconds; spent += 0.02) {
		timespec start, now;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
		do
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
		while ((now.tv_sec - start.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec - start.tv_nsec) < share * 20e6);
		if (share < 1)
			usleep(static_cast<useconds_t>((1 - share) * 20000));
	}
}

void leak(double mib_per_s, double most_mib) {
	for (double all = 0; all < most_mib; all += mib_per_s / 10) {
		size_t bytes = static_cast<size_t>(mib_per_s / 10 * 1048576);
		leaked.push_back(static_cast<char *>(memset(malloc(bytes), 1, bytes)));
		sleep_ms(100);
	}
}

void flood(const std::string &path, double mib_per_s, double seconds) {
	std::vector<char> block(static_cast<size_t>(mib_per_s / 4 * 1048576), 'x');
	for (double spent = 0; spent < seconds; spent += 0.25) {
		int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (write(fd, block.data(), block.size()) < 0 || fdatasync(fd) != 0)
			perror("flood");
		close(fd);
		sleep_ms(250);
	}
	unlink(path.c_str());
}

// A log that is appended to, as fast as is asked for; until it is told to stop, or ends.
void spew(const std::string &path, double kib_per_s, double seconds) {
	std::string line(1023, 'y');
	line += '\n';
	int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	for (double spent = 0; fd >= 0 && spent < seconds; spent += 0.1) {
		for (int i = 0; i < kib_per_s / 10; i++)
			if (write(fd, line.data(), line.size()) < 0)
				perror("spew");
		sleep_ms(100);
	}
}

void children(double per_s, int most, bool die) {
	for (int i = 0; i < most; i++) {
		if (fork() == 0) {
			if (!die)
				sleep(600);
			_exit(0);
		}
		sleep_ms(static_cast<int>(1000 / per_s));
	}
}

void obey(const std::string &text) {
	char what[32] = "", path[512] = "";
	double a = 0, b = 0;
	sscanf(text.c_str(), "%31s %lf %lf %511s", what, &a, &b, path);
	std::string order = what;
	printf("told: %s\n", text.c_str());
	if (order == "hang")
		hung = true;
	else if (order == "error")
		erroring = true;
	else if (order == "mute")
		mute = true;
	else if (order == "burn")
		std::thread(burn, a, b).detach();
	else if (order == "leak")
		std::thread(leak, a, b).detach();
	else if (order == "files")
		std::thread([a, b] { for (int i = 0; i < b; i++, sleep_ms(static_cast<int>(1000 / a))) open("/dev/null", O_RDONLY | O_CLOEXEC); }).detach();
	else if (order == "fork")
		std::thread(children, a, static_cast<int>(b), false).detach();
	else if (order == "zombies")
		std::thread(children, a, static_cast<int>(b), true).detach();
	else if (order == "spew")
		std::thread(spew, std::string(path), a, b).detach();
	else if (order == "flood")
		std::thread(flood, std::string(path), a, b).detach();
}

// What is written to the control file is obeyed once, and forgotten.
void control(const std::string &path) {
	for (;; sleep_ms(50)) {
		std::string text = read_file(path);
		if (!text.empty() && unlink(path.c_str()) == 0)
			obey(text);
		if (!mute && time(nullptr) % 2 == 0)
			printf("alive\n");
	}
}

// serve PORT NAME CONTROL [CONFIG]: the configuration, where there is one, must hold the line `good = yes`.
int serve(int argc, char **argv) {
	if (argc < 5)
		return 2;
	std::string name = argv[3];
	if (argc > 5 && read_file(argv[5]).find("good = yes\n") == std::string::npos) {
		printf("error: %s: no line good = yes\n", argv[5]);
		return 1;
	}
	int server = listen_on(atoi(argv[2]));
	if (server < 0) {
		printf("error: port %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	struct sigaction reload {};
	reload.sa_handler = [](int) { reloads++; };
	sigaction(SIGHUP, &reload, nullptr);
	std::thread(control, std::string(argv[4])).detach();
	for (;;) {
		if (hung) {
			sleep_ms(50);
			continue;
		}
		int client = accept4(server, nullptr, nullptr, SOCK_CLOEXEC);
		if (client < 0)
			continue;
		timeval patience{0, 200000};
		char request[1024];
		setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		if (read(client, request, sizeof request) > 0) {
			std::string body = name + " " + std::to_string(getpid()) + " " + std::to_string(reloads) + "\n";
			std::string answer = std::string("HTTP/1.0 ") + (erroring ? "500 Broken" : "200 OK") + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
			if (write(client, answer.data(), answer.size()) < 0)
				perror("write");
		}
		close(client);
	}
}

// hold PORT: tries until the port is its own, and keeps it.
int hold(char **argv) {
	while (listen_on(atoi(argv[2])) < 0)
		usleep(200);
	for (;;)
		pause();
}

// dial PORT COUNT: connections that stay open, to a listener of its own that never accepts.
int dial(char **argv) {
	listen_on(atoi(argv[2]));
	for (int i = 0; i < atoi(argv[3]); i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		sockaddr_in address = address_of("127.0.0.1", atoi(argv[2]));
		connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address);
		sleep_ms(2);
	}
	for (;;)
		pause();
}

// dns ADDRESS: "no such name" to every question (RFC 1035).
int dns(char **argv) {
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	sockaddr_in address = address_of(argv[2], 53), peer;
	if (bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
		return 1;
	for (;;) {
		unsigned char packet[512];
		socklen_t length = sizeof peer;
		ssize_t got = recvfrom(fd, packet, sizeof packet, 0, reinterpret_cast<sockaddr *>(&peer), &length);
		if (got < 12)
			continue;
		packet[2] = 0x84; // an answer, with authority
		packet[3] = 0x03; // NXDOMAIN
		sendto(fd, packet, static_cast<size_t>(got), 0, reinterpret_cast<sockaddr *>(&peer), length);
	}
}

// notify PATH: prints each datagram that comes to a Unix socket, as systemd takes them (sd_notify(3)).
int notify(char **argv) {
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	strncpy(address.sun_path, argv[2], sizeof address.sun_path - 1);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
		return 1;
	puts("listening");
	for (char text[512];;) {
		ssize_t got = recv(fd, text, sizeof text - 1, 0);
		if (got > 0)
			printf("%.*s\n", static_cast<int>(got), text);
	}
}

} // namespace

int main(int argc, char **argv) {
	setvbuf(stdout, nullptr, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	std::string mode = argc > 2 ? argv[1] : "";
	if (mode == "serve")
		return serve(argc, argv);
	if (mode == "hold")
		return hold(argv);
	if (mode == "dial" && argc > 3)
		return dial(argv);
	if (mode == "dns")
		return dns(argv);
	if (mode == "notify")
		return notify(argv);
	fprintf(stderr, "usage: victim serve PORT NAME CONTROL [CONFIG] | hold PORT | dial PORT COUNT | dns ADDRESS | notify PATH\n");
	return 2;
}
