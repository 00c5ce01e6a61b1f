// A disk that refuses to be written, for a process that this is loaded into (LD_PRELOAD): while the file REFUSED_WHILE is there, all that would
// write under the directory that it names fails with the number before that. Reads go on, as they do from a cache.
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

template <typename Function> Function *next(const char *name) { return reinterpret_cast<Function *>(dlsym(RTLD_NEXT, name)); }

// As the file has it: the error to fail with, and under which directory; 0 where the disk is well.
int refusal(std::string *directory) {
	static auto real_open = next<int(const char *, int, ...)>("open");
	const char *flag = getenv("REFUSED_WHILE");
	int fd = flag == nullptr ? -1 : real_open(flag, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	char text[4096] = "";
	ssize_t got = read(fd, text, sizeof text - 1);
	close(fd);
	const char *blank = got > 0 ? strchr(text, ' ') : nullptr;
	*directory = blank == nullptr ? "" : blank + 1;
	return blank == nullptr ? 0 : atoi(text);
}

std::string linked(const std::string &path) {
	char text[4096];
	ssize_t length = readlink(path.c_str(), text, sizeof text);
	return length < 0 ? "" : std::string(text, static_cast<size_t>(length));
}

bool refuses(const std::string &path) {
	int before = errno;
	std::string directory;
	int error = refusal(&directory);
	if (error != 0 && path.compare(0, directory.size(), directory) != 0)
		error = 0;
	errno = error == 0 ? before : error;
	return error != 0;
}
bool refuses_fd(int fd) { return refuses(linked("/proc/self/fd/" + std::to_string(fd))); }
bool refuses_at(int directory, const char *path) {
	if (path[0] == '/')
		return refuses(path);
	return refuses(linked(directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/" + std::to_string(directory)) + "/" + path);
}

bool writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0; }

} // namespace

#define OPENING(...) \
	if (writes(flags) && refuses_at(__VA_ARGS__)) \
		return -1; \
	va_list more; \
	va_start(more, flags); \
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0; \
	va_end(more);

extern "C" {

int open(const char *path, int flags, ...) {
	OPENING(AT_FDCWD, path)
	return next<int(const char *, int, ...)>("open")(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
	OPENING(AT_FDCWD, path)
	return next<int(const char *, int, ...)>("open64")(path, flags, mode);
}
int openat(int directory, const char *path, int flags, ...) {
	OPENING(directory, path)
	return next<int(int, const char *, int, ...)>("openat")(directory, path, flags, mode);
}
int openat64(int directory, const char *path, int flags, ...) {
	OPENING(directory, path)
	return next<int(int, const char *, int, ...)>("openat64")(directory, path, flags, mode);
}

// What takes a descriptor first, and what takes a path first.
#define ON_FD(result, name, parameters, arguments) \
	result name parameters { return refuses_fd(fd) ? -1 : next<result parameters>(#name) arguments; }
#define ON_PATH(name, directory, parameters, arguments) \
	int name parameters { return refuses_at(directory, path) ? -1 : next<int parameters>(#name) arguments; }

ON_FD(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD(ssize_t, writev, (int fd, const iovec *parts, int count), (fd, parts, count))
ON_FD(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
ON_FD(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
ON_FD(ssize_t, pwritev, (int fd, const iovec *parts, int count, off_t at), (fd, parts, count, at))
ON_FD(ssize_t, pwritev64, (int fd, const iovec *parts, int count, off64_t at), (fd, parts, count, at))
ON_FD(int, fsync, (int fd), (fd))
ON_FD(int, fdatasync, (int fd), (fd))
ON_FD(int, ftruncate, (int fd, off_t size), (fd, size))
ON_FD(int, ftruncate64, (int fd, off64_t size), (fd, size))
ON_FD(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
ON_FD(int, fchmod, (int fd, mode_t mode), (fd, mode))
ON_PATH(creat, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ON_PATH(creat64, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ON_PATH(rmdir, AT_FDCWD, (const char *path), (path))
ON_PATH(unlink, AT_FDCWD, (const char *path), (path))
ON_PATH(unlinkat, directory, (int directory, const char *path, int flags), (directory, path, flags))
ON_PATH(rename, AT_FDCWD, (const char *path, const char *to), (path, to))
ON_PATH(renameat, directory, (int directory, const char *path, int to_directory, const char *to), (directory, path, to_directory, to))
ON_PATH(chmod, AT_FDCWD, (const char *path, mode_t mode), (path, mode))

// One that is there already is found, not made.
int mkdir(const char *path, mode_t mode) {
	if (access(path, F_OK) != 0 && refuses_at(AT_FDCWD, path))
		return -1;
	return next<int(const char *, mode_t)>("mkdir")(path, mode);
}
}
