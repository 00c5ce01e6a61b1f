// SPDX-License-Identifier: Apache-2.0
// Bytes to and from files: the actuator's own records, written durably, and copies that end.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>

#include "../fd.h"
#include "files.h"

namespace {

constexpr int kCatchUps = 3; // of what is written to a file while it is copied

Outcome write_whole(int fd, const char *data, size_t size) {
	size_t done = 0;
	while (done < size) {
		ssize_t wrote = write(fd, data + done, size - done);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return Outcome::error("write", errno);
		done += static_cast<size_t>(wrote);
	}
	return Outcome::fine();
}

} // namespace

Outcome write_all(int fd, const std::string &content) {
	Outcome wrote = write_whole(fd, content.data(), content.size());
	return !wrote.ok() || fsync(fd) == 0 ? wrote : Outcome::error("fsync", errno);
}

Outcome copy_bytes(int from, int to) {
	std::string buffer(64 << 10, '\0');
	struct stat at;
	off_t done = 0;
	for (int round = 0; round < kCatchUps; round++) {
		if (fstat(from, &at) != 0)
			return Outcome::error("copy", errno);
		off_t until = std::min(at.st_size, kMaxCopiedBytes);
		if (done >= until)
			break;
		while (done < until) {
			ssize_t got = pread(from, buffer.data(), std::min(buffer.size(), static_cast<size_t>(until - done)), done);
			if (got < 0)
				return Outcome::error("copy", errno);
			if (got == 0)
				return Outcome::fine(); // cut short meanwhile
			Outcome wrote = write_whole(to, buffer.data(), static_cast<size_t>(got));
			if (!wrote.ok())
				return wrote;
			done += got;
		}
	}
	return Outcome::fine();
}

Outcome write_durably(const std::string &directory, const std::string &name, const std::string &content) {
	Fd dir(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!dir.ok())
		return Outcome::error(directory, errno);
	std::string fresh = name + ".tmp";
	Fd file(openat(dir.get(), fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (!file.ok())
		return Outcome::error(fresh, errno);
	Outcome wrote = write_all(file.get(), content);
	if (!wrote.ok()) {
		unlinkat(dir.get(), fresh.c_str(), 0);
		return wrote;
	}
	if (renameat(dir.get(), fresh.c_str(), dir.get(), name.c_str()) != 0 || fsync(dir.get()) != 0)
		return Outcome::error(name, errno);
	return Outcome::fine();
}

bool refuses_writes(int error) { return error == ENOSPC || error == EDQUOT || error == EROFS || error == EIO; }

bool read_whole(const std::string &path, size_t limit, std::string *content) {
	Fd file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
	if (!file.ok())
		return false;
	content->resize(limit + 1);
	size_t length = 0;
	for (;;) {
		ssize_t got = read(file.get(), content->data() + length, content->size() - length);
		if (got < 0)
			return false;
		if (got == 0)
			break;
		length += static_cast<size_t>(got);
		if (length > limit)
			return false;
	}
	content->resize(length);
	return true;
}
