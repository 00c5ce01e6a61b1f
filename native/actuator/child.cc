// SPDX-License-Identifier: Apache-2.0
// Signals, descriptors and arguments of a child.
#include "child.h"

#include <csignal>
#include <sys/syscall.h>
#include <unistd.h>

void reset_signals() {
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, nullptr);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
}

void close_others() { syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */); }

std::vector<char *> pointers_to(const std::vector<std::string> &words) {
	std::vector<char *> pointers;
	pointers.reserve(words.size() + 1);
	for (const std::string &word : words)
		pointers.push_back(const_cast<char *>(word.c_str()));
	pointers.push_back(nullptr);
	return pointers;
}
