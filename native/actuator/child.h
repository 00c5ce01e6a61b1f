// SPDX-License-Identifier: Apache-2.0
// What a child does after fork, before it becomes another program.
#pragma once

#include <string>
#include <vector>

// All signals as they come.
void reset_signals();
// Nothing of what the actuator has open, but the standard streams, outlives exec.
void close_others();
// As exec takes them; they point into the words.
std::vector<char *> pointers_to(const std::vector<std::string> &words);
