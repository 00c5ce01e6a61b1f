// SPDX-License-Identifier: Apache-2.0
// Who has a file open for writing: what to do about a log that is flooded is to be done to them.
#pragma once

#include "cbor.h"
#include "outcome.h"
#include "policy.h"
#include "services.h"

// [pid, start ticks, program, uid, the service that it belongs to or "", bytes that it has written to anything]…, at most 32;
// none where nobody does, or nobody that can be seen.
Outcome file_writers(const Policy &policy, const Services &services, const std::string &path, Encoder *answer);
