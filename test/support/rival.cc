// What another process of a machine can do to the actuator, of what a script cannot.
//   rival mount DIRECTORY COMMAND…   in a mount namespace of its own, a FUSE file system at DIRECTORY that never answers, and the command
//   rival lease FILE                 a lease on a file, held until it is killed
//   rival hello SOCKET [away]        says hello to the actuator, and the code of its answer; away: as an orphan in a session of its own
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what) {
	fprintf(stderr, "rival: %s: %s\n", what, strerror(errno));
	return 1;
}

static int mount_silent(const char *directory, char **command) {
	int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0 || unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
		return fail("/dev/fuse");
	std::string options = "fd=" + std::to_string(device) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
	if (mount("silent", directory, "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
		return fail(directory);
	pid_t parent = getpid();
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() == parent)
			pause();
		_exit(0);
	}
	execvp(command[0], command);
	return fail(command[0]);
}

static int hold_lease(const char *file) {
	signal(SIGIO, SIG_IGN);
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
		return fail(file);
	printf("held\n");
	fflush(stdout);
	pause();
	return 0;
}

// The code of the answer: a CBOR array of version, id, code.
static int say_hello(const char *path, bool away) {
	if (away) {
		if (fork() != 0)
			return 0;
		setsid();
		if (fork() != 0)
			_exit(0);
		usleep(100000); // until its parent is gone
	}
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
		return fail("connect");
	const char hello[] = "\0\0\0\x09\x83\x01\x01\x65hello";
	unsigned char answer[16];
	if (send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL) < 0 || recv(fd, answer, sizeof answer, MSG_WAITALL) < 8)
		return fail("hello");
	printf("%s answered %d\n", away ? "away" : "near", answer[7]);
	return 0;
}

int main(int argc, char **argv) {
	if (argc > 3 && strcmp(argv[1], "mount") == 0)
		return mount_silent(argv[2], argv + 3);
	if (argc > 2 && strcmp(argv[1], "hello") == 0)
		return say_hello(argv[2], argc > 3);
	return argc == 3 && strcmp(argv[1], "lease") == 0 ? hold_lease(argv[2]) : 2;
}
