// SPDX-License-Identifier: Apache-2.0
// Services for fail-over: held under a fence, for a while at a time; killed when they are held no more.
#include <algorithm>
#include <csignal>

#include "services.h"

namespace {

constexpr int64_t kMostHoldMs = 60000;

} // namespace

// Both clocks: a request that a frozen agent, or a machine asleep, sends too late must not hold anything.
void Services::hold(const std::string &name, Until until, int64_t fence, Done done) {
	auto found = services_.find(name);
	if (found == services_.end())
		return done(Outcome::not_found("no service " + name));
	Service *service = found->second.get();
	if (!service->spec.fenced)
		return done(Outcome::refused(name + " is not declared for fail-over"));
	int64_t for_ms = std::min(until.monotonic_ms - Loop::awake_ms(), until.wall_ms - Loop::wall_ms());
	if (for_ms < 1 || for_ms > kMostHoldMs || fence < 1)
		return done(Outcome::refused("a service is held for 1 to 60,000 ms from now, under a fence of 1 or more"));
	if (fence < service->fence)
		return done(Outcome::refused(name + " was held under fence " + std::to_string(service->fence) + " already"));
	bool newer = fence > service->fence;
	if (newer && service->state == kRunning)
		return done(Outcome::refused(name + " still runs under fence " + std::to_string(service->fence)));
	bool starts = newer || service->lapsed;
	service->fence = fence;
	service->held_until_ms = Loop::now_ms() + for_ms;
	loop_.cancel(service->lease);
	service->lease = loop_.after(for_ms, [this, service] { lapse(service); });
	if (!starts)
		return done(Outcome::fine());
	service->lapsed = false;
	start(name, [this, name, done](Outcome started) {
		if (!started.ok())
			changed_(name, false); // held, and it does not run
		done(started.ok() ? Outcome{Outcome::kOk, "started"} : started);
	});
}

// Nobody renewed it: another machine may start it at any moment.
void Services::lapse(Service *service) {
	service->held_until_ms = 0;
	service->lapsed = true;
	service->stop_requested = true;
	if (service->state == kRunning)
		return kill_group(*service, SIGKILL);
	service->state = kStopped;
	service->since_ms = Loop::wall_ms();
	record(*service);
	changed_(service->spec.name, false);
}

void Services::release(const std::string &name, Done done) {
	auto found = services_.find(name);
	if (found == services_.end() || !found->second->spec.fenced)
		return done(Outcome::not_found("no service for fail-over is called " + name));
	Service *service = found->second.get();
	service->lapsed = true;
	stop(name, [this, service, done](Outcome outcome) {
		if (service->lapsed) {
			service->held_until_ms = 0;
			loop_.cancel(service->lease);
		}
		done(std::move(outcome));
	});
}
