// SPDX-License-Identifier: Apache-2.0
// Clocks, timers and poll(2).
#include "loop.h"

#include <algorithm>
#include <ctime>
#include <poll.h>
#include <vector>

namespace {

int64_t clock_ms(clockid_t id) {
	timespec at;
	clock_gettime(id, &at);
	return int64_t{at.tv_sec} * 1000 + at.tv_nsec / 1000000;
}

} // namespace

int64_t Loop::now_ms() { return clock_ms(CLOCK_BOOTTIME); }
int64_t Loop::awake_ms() { return clock_ms(CLOCK_MONOTONIC); }
int64_t Loop::wall_ms() { return clock_ms(CLOCK_REALTIME); }

void Loop::watch(int fd, short events, Ready ready) { watched_[fd] = Watched{events, next_++, std::move(ready)}; }

Loop::Timer Loop::after(int64_t delay_ms, std::function<void()> fire) {
	Timer id = next_++;
	timers_[{now_ms() + delay_ms, id}] = std::move(fire);
	return id;
}

void Loop::cancel(Timer timer) {
	for (auto it = timers_.begin(); it != timers_.end(); ++it) {
		if (it->first.second == timer) {
			timers_.erase(it);
			return;
		}
	}
}

void Loop::fire_due() {
	int64_t now = now_ms();
	while (!timers_.empty() && timers_.begin()->first.first <= now) {
		auto fire = std::move(timers_.begin()->second);
		timers_.erase(timers_.begin());
		fire();
	}
}

void Loop::wait_once() {
	std::vector<pollfd> fds;
	std::vector<uint64_t> generations;
	for (const auto &[fd, watched] : watched_) {
		fds.push_back(pollfd{fd, watched.events, 0});
		generations.push_back(watched.generation);
	}
	int64_t wait = -1;
	if (!timers_.empty()) {
		wait = std::clamp<int64_t>(timers_.begin()->first.first - now_ms(), 0, 60000);
	}
	if (poll(fds.data(), fds.size(), static_cast<int>(wait)) <= 0)
		return;
	for (size_t i = 0; i < fds.size(); i++) {
		if (fds[i].revents == 0)
			continue;
		// A callback before this one may have closed it, and another may have its number.
		auto found = watched_.find(fds[i].fd);
		if (found == watched_.end() || found->second.generation != generations[i])
			continue;
		Ready ready = found->second.ready;
		ready(fds[i].revents);
	}
}

void Loop::run() {
	while (!stopped_) {
		fire_due();
		if (!stopped_)
			wait_once();
	}
}
