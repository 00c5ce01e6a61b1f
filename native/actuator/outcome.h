// SPDX-License-Identifier: Apache-2.0
// How an operation ended. The codes are those of the Actuator port (node/ports/actuator.ts).
#pragma once

#include <string>

struct Outcome {
	enum Code {
		kOk = 0,
		kNotFound = 1,
		kGone = 2,
		kRefused = 3,
		kFailed = 4,
		kUnknown = 5,
	} code = kOk;
	std::string message;

	bool ok() const { return code == kOk; }
	static Outcome fine() { return {}; }
	static Outcome refused(std::string why) { return {kRefused, std::move(why)}; }
	static Outcome failed(std::string why) { return {kFailed, std::move(why)}; }
	static Outcome gone(std::string why) { return {kGone, std::move(why)}; }
	static Outcome not_found(std::string why) { return {kNotFound, std::move(why)}; }
	// "what: strerror(error)"
	static Outcome error(const std::string &what, int error);
};
