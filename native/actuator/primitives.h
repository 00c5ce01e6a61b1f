// SPDX-License-Identifier: Apache-2.0
// The fixed table of what the actuator can do to the machine. A primitive is [name, argument…]; anything that is not in
// the table, with just these kinds of arguments, is refused before anything looks at it.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cbor.h"
#include "loop.h"
#include "outcome.h"
#include "policy.h"
#include "services.h"

struct PrimitiveRow;

class Primitives {
public:
	Primitives(const Policy &policy, Services &services, std::string archive, std::string systemctl)
	    : policy_(policy), services_(services), archive_(std::move(archive)), systemctl_(std::move(systemctl)) {}

	// Whether it is well-formed, allowed and possible to try; changes nothing.
	Outcome check(const Value &primitive) const;
	// The rule of the policy by which it needs authorization; empty where none does. Refused for an unknown primitive.
	Outcome certified_by(const Value &primitive, std::string *rule) const;
	// key: names this change of this transaction, "ID-INDEX"; an undo gets the key of what it undoes.
	void run(const Value &primitive, const std::string &key, Done done);
	// Of a step that stops a service: who has it down.
	Outcome intend(const Value &primitive, Services::Intent by);
	// These changes, with their keys, are to stay: lets go of what was kept for their undo. Done, too, where that cannot be: it is tried
	// again by the next actuator.
	using Step = std::pair<Value, std::string>;
	void settle(const std::vector<Step> &steps, std::function<void()> done);
	// Whether it may wait for others: then it is to be done apart.
	static bool read_waits(const Value &primitive);
	// Appends the answer's items to a read; a read changes nothing.
	Outcome read(const Value &primitive, Encoder *answer) const;
	// Whether it means anything after a reboot: a file does, a process does not.
	static bool outlives_boot(const Value &primitive);
	// Names of the kinds of primitives that the policy lets through at all.
	std::vector<std::string> capabilities() const;

	// For the rows.
	const Policy &policy() const { return policy_; }
	Services &services() const { return services_; }
	const std::string &archive() const { return archive_; }
	const std::string &systemctl() const { return systemctl_; }

private:
	const Policy &policy_;
	Services &services_;
	std::string archive_;
	std::string systemctl_;
};
