// SPDX-License-Identifier: Apache-2.0
// What a process has open, closed with its scope: descriptors, pipes, directories. Closing one leaves errno as it was, so that
// the error of a call before it can still be read.
#pragma once

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <unistd.h>
#include <utility>

class Fd {
public:
	Fd() = default;
	explicit Fd(int fd) : fd_(fd) {}
	Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	Fd &operator=(Fd &&other) noexcept {
		Fd before(std::exchange(fd_, std::exchange(other.fd_, -1)));
		return *this;
	}
	~Fd() { reset(); }

	int get() const { return fd_; }
	bool ok() const { return fd_ >= 0; }
	void reset() {
		int error = errno;
		if (fd_ >= 0)
			close(fd_);
		fd_ = -1;
		errno = error;
	}

private:
	int fd_ = -1;
};

struct Pipe {
	Fd reads;
	Fd writes;

	// flags: of pipe2(2). False with errno where there is none.
	bool open(int flags) {
		int ends[2];
		if (pipe2(ends, flags) != 0)
			return false;
		reads = Fd(ends[0]);
		writes = Fd(ends[1]);
		return true;
	}
};

// The names in a directory; none where it cannot be opened.
class Directory {
public:
	explicit Directory(const char *path) : dir_(opendir(path)) {}
	// From its beginning; the descriptor stays the caller's.
	explicit Directory(const Fd &fd) : dir_(fdopendir(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0))) {
		if (ok())
			rewinddir(dir_.get());
	}

	bool ok() const { return dir_ != nullptr; }
	int fd() const { return dirfd(dir_.get()); }
	// The next one, "." and ".." too; valid until the one after it is asked for. nullptr at the end.
	const char *next() {
		const dirent *entry = ok() ? readdir(dir_.get()) : nullptr;
		return entry == nullptr ? nullptr : entry->d_name;
	}

private:
	struct Close {
		void operator()(DIR *dir) const {
			int error = errno;
			closedir(dir);
			errno = error;
		}
	};
	std::unique_ptr<DIR, Close> dir_;
};
