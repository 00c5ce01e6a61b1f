// SPDX-License-Identifier: Apache-2.0
// The event loop: file descriptors and timers, one thread, so that nothing in the actuator needs a lock. Callbacks may add
// and remove anything, themselves included.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

class Loop {
public:
	using Ready = std::function<void(short events)>;
	using Timer = uint64_t;

	// Milliseconds since boot, time asleep included.
	static int64_t now_ms();
	// Without the time asleep: the clock that the agent measures by.
	static int64_t awake_ms();
	// Milliseconds since 1970.
	static int64_t wall_ms();

	void watch(int fd, short events, Ready ready);
	void unwatch(int fd) { watched_.erase(fd); }
	Timer after(int64_t delay_ms, std::function<void()> fire);
	void cancel(Timer timer);
	void run();
	void stop() { stopped_ = true; }

private:
	struct Watched {
		short events;
		uint64_t generation;
		Ready ready;
	};
	void wait_once();
	void fire_due();

	std::map<int, Watched> watched_;
	std::map<std::pair<int64_t, Timer>, std::function<void()>> timers_;
	uint64_t next_ = 1;
	bool stopped_ = false;
};
