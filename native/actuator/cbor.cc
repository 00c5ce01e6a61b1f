// SPDX-License-Identifier: Apache-2.0
// Decoding and encoding of the subset of CBOR.
#include "cbor.h"

#include <cstring>

namespace {

enum Major : uint8_t {
	kUnsigned = 0,
	kNegative = 1,
	kByteString = 2,
	kTextString = 3,
	kArrayOf = 4,
};

struct Reader {
	const uint8_t *at;
	const uint8_t *end;
	size_t items;
	const char *why;
	size_t max_items;

	bool fail(const char *reason) {
		why = reason;
		return false;
	}

	// The argument of an item's head, in its shortest form only.
	bool head(uint8_t *major, uint64_t *argument) {
		if (at == end)
			return fail("it ends too soon");
		uint8_t first = *at++;
		*major = first >> 5;
		uint8_t info = first & 0x1f;
		if (info < 24) {
			*argument = info;
			return true;
		}
		if (info > 27)
			return fail("a length that is not definite");
		size_t width = size_t{1} << (info - 24);
		if (static_cast<size_t>(end - at) < width)
			return fail("it ends too soon");
		uint64_t value = 0;
		for (size_t i = 0; i < width; i++)
			value = value << 8 | *at++;
		uint64_t least = info == 24 ? 24 : uint64_t{1} << (4 * width);
		if (value < least)
			return fail("a number that is not in its shortest form");
		*argument = value;
		return true;
	}

	bool item(Value *out, int depth) {
		uint8_t major;
		uint64_t argument;
		if (++items > max_items)
			return fail("too many items");
		if (!head(&major, &argument))
			return false;
		switch (major) {
		case kUnsigned:
		case kNegative:
			if (argument > INT64_MAX)
				return fail("a number beyond 63 bits");
			out->kind = Value::kNumber;
			out->number = major == kUnsigned ? static_cast<int64_t>(argument) : -1 - static_cast<int64_t>(argument);
			return true;
		case kByteString:
		case kTextString:
			if (argument > static_cast<uint64_t>(end - at))
				return fail("a string longer than the frame");
			out->kind = major == kByteString ? Value::kBytes : Value::kText;
			out->text.assign(reinterpret_cast<const char *>(at), argument);
			at += argument;
			if (major == kTextString && out->text.find('\0') != std::string::npos)
				return fail("a text with a NUL");
			return true;
		case kArrayOf:
			return array(out, argument, depth);
		default:
			return fail("a kind of item that is not used here");
		}
	}

	bool array(Value *out, uint64_t length, int depth) {
		if (depth >= kMaxDepth)
			return fail("nested too deep");
		if (length > static_cast<uint64_t>(end - at))
			return fail("an array longer than the frame");
		out->kind = Value::kArray;
		out->items.reserve(length < 64 ? length : 64);
		for (uint64_t i = 0; i < length; i++) {
			out->items.emplace_back();
			if (!item(&out->items.back(), depth + 1))
				return false;
		}
		return true;
	}
};

char letter_of(Value::Kind kind) {
	switch (kind) {
	case Value::kNumber:
		return 'n';
	case Value::kBytes:
		return 'b';
	case Value::kText:
		return 't';
	case Value::kArray:
		return 'l';
	}
	return '?';
}

} // namespace

bool are_of(const Value *values, size_t count, const char *kinds) {
	if (count != strlen(kinds))
		return false;
	for (size_t i = 0; i < count; i++)
		if (letter_of(values[i].kind) != kinds[i])
			return false;
	return true;
}

bool decode_cbor(const uint8_t *data, size_t size, Value *out, const char **why, size_t max_items) {
	Reader reader{data, data + size, 0, "", max_items};
	if (!reader.item(out, 0)) {
		*why = reader.why;
		return false;
	}
	if (reader.at != reader.end) {
		*why = "something follows it";
		return false;
	}
	return true;
}

void Encoder::head(uint8_t major, uint64_t argument) {
	uint8_t top = static_cast<uint8_t>(major << 5);
	if (argument < 24) {
		out_.push_back(static_cast<char>(top | argument));
		return;
	}
	int info = 24; // one byte follows, or twice as many, and so on
	while (info < 27 && argument >> (8 << (info - 24)) != 0)
		info++;
	out_.push_back(static_cast<char>(top | info));
	for (int shift = (8 << (info - 24)) - 8; shift >= 0; shift -= 8)
		out_.push_back(static_cast<char>(argument >> shift));
}

Encoder &Encoder::number(int64_t value) {
	if (value >= 0)
		head(kUnsigned, static_cast<uint64_t>(value));
	else
		head(kNegative, static_cast<uint64_t>(-1 - value));
	return *this;
}

Encoder &Encoder::text(const std::string &value) {
	head(kTextString, value.size());
	out_ += value;
	return *this;
}

Encoder &Encoder::bytes(const std::string &value) {
	head(kByteString, value.size());
	out_ += value;
	return *this;
}

Encoder &Encoder::array(size_t items) {
	head(kArrayOf, items);
	return *this;
}

Encoder &Encoder::value(const Value &value) {
	switch (value.kind) {
	case Value::kNumber:
		return number(value.number);
	case Value::kBytes:
		return bytes(value.text);
	case Value::kText:
		return text(value.text);
	case Value::kArray:
		array(value.items.size());
		for (const Value &item : value.items)
			this->value(item);
	}
	return *this;
}
