// SPDX-License-Identifier: Apache-2.0
// The processes that have a file open for writing: a log that is flooded is stopped at its writers.
#pragma once

#include "cbor.h"
#include "outcome.h"
#include "policy.h"
#include "services.h"

// [pid, start ticks, program, uid, the service that it belongs to or "", bytes that it has written to anything]…, at most 32;
// none where no visible process does.
Outcome file_writers(const Policy &policy, const Services &services, const std::string &path, Encoder *answer);
