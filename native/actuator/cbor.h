// SPDX-License-Identifier: Apache-2.0
// The subset of deterministic CBOR (RFC 8949, section 4.2) that the socket and the records on disk use: integers, byte and
// text strings, arrays. Anything else, any longer form of a length, and anything left over is refused.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

constexpr size_t kMaxFrameBytes = 1 << 20;
constexpr int kMaxDepth = 6;
constexpr size_t kMaxItems = 8192;

struct Value {
	enum Kind : uint8_t {
		kNumber,
		kBytes,
		kText,
		kArray,
	} kind = kNumber;
	int64_t number = 0;
	std::string text; // of kBytes and kText
	std::vector<Value> items;

	bool is(Kind other) const { return kind == other; }
};

using Args = std::vector<Value>; // of a primitive, without its name

// Whether they are of these kinds, a letter for each: t text, n number, b bytes, l list.
bool are_of(const Value *values, size_t count, const char *kinds);

// Reads one whole value; on failure false, with the reason in *why (a constant).
bool decode_cbor(const uint8_t *data, size_t size, Value *out, const char **why, size_t max_items = kMaxItems);

class Encoder {
public:
	Encoder &number(int64_t value);
	Encoder &text(const std::string &value);
	Encoder &bytes(const std::string &value);
	Encoder &array(size_t items);
	Encoder &value(const Value &value);
	// Items that are encoded already.
	Encoder &splice(const std::string &encoded) {
		out_ += encoded;
		return *this;
	}
	const std::string &data() const { return out_; }

private:
	void head(uint8_t major, uint64_t argument);
	std::string out_;
};
