// SPDX-License-Identifier: Apache-2.0
// A descriptor that is closed with its scope.
#pragma once

#include <unistd.h>
#include <utility>

class Fd {
public:
	Fd(int fd = -1) : fd_(fd) {}
	Fd(Fd &&other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
	Fd &operator=(Fd &&other) noexcept {
		std::swap(fd_, other.fd_);
		return *this;
	}
	~Fd() {
		if (fd_ >= 0)
			close(fd_);
	}
	int get() const { return fd_; }
	bool ok() const { return fd_ >= 0; }

private:
	int fd_;
};
