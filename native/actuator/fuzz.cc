// SPDX-License-Identifier: Apache-2.0
// Feeds the frame parser, the policy parser and the primitives' checks with mutated and random input, seeded: the same seed
// gives the same inputs. Built with the address and undefined-behaviour sanitizers; a finding ends it with an error.
// usage: fuzz COUNT [SEED]

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "policy.h"
#include "primitives.h"
#include "server.h"

namespace {

struct Random { // xorshift64*
	uint64_t state;
	uint64_t next() {
		state ^= state >> 12;
		state ^= state << 25;
		state ^= state >> 27;
		return state * 2685821657736338717u;
	}
	size_t below(size_t limit) { return limit == 0 ? 0 : next() % limit; }
};

std::vector<std::string> seeds() {
	std::vector<std::string> made;
	Encoder hello, arm, declare, read, deep;
	hello.array(3).number(1).number(1).text("hello");
	arm.array(6).number(1).number(7).text("arm").text("act-1").number(30000).array(1);
	arm.array(2).array(4).text("process.signal").number(4000000).number(123456789).text("STOP").array(0);
	declare.array(4).number(1).number(2).text("declare").array(1).array(11).text("web").array(2).text("sleep").text("9").text("/");
	declare.array(1).text("A=b").text("").array(1).array(2).text("nofile").number(1024).number(500).number(1 << 20).text("TERM").number(5000).number(1 << 20);
	read.array(4).number(1).number(3).text("read").array(2).text("file.read").text("/no/such/../file");
	deep.array(4).number(1).number(4).text("x").array(1).array(1).array(1).array(1).number(-5);
	for (const Encoder &encoder : {hello, arm, declare, read, deep})
		made.push_back(encoder.data());
	return made;
}

std::string mutate(std::string text, Random &random, const std::vector<std::string> &corpus) {
	for (size_t rounds = 1 + random.below(4); rounds > 0; rounds--) {
		size_t at = random.below(text.size() + 1);
		switch (random.below(6)) {
		case 0:
			if (!text.empty())
				text[at % text.size()] = static_cast<char>(random.next());
			break;
		case 1:
			text.insert(at, 1, static_cast<char>(random.next()));
			break;
		case 2:
			text.erase(at, random.below(8));
			break;
		case 3:
			if (!text.empty())
				text[at % text.size()] = static_cast<char>(text[at % text.size()] ^ 1 << random.below(8));
			break;
		case 4: {
			const std::string &other = corpus[random.below(corpus.size())];
			text.insert(at, other.substr(random.below(other.size())));
			break;
		}
		default:
			text.resize(random.below(text.size() + 4));
		}
	}
	return text.substr(0, 4096);
}

} // namespace

int main(int argc, char **argv) {
	if (argc < 2) {
		fprintf(stderr, "usage: fuzz COUNT [SEED]\n");
		return 2;
	}
	Loop loop;
	Policy policy, other;
	std::string why;
	Policy::parse("allow sysctl vm.\nallow path /nonexistent/kalos\nallow process x\n", &policy, &why);
	Services services(loop, policy, "/nonexistent", 0, 10000, [](const std::string &, bool) {});
	Primitives primitives(policy, services, "/nonexistent", "/nonexistent");
	std::vector<std::string> corpus = seeds();
	Random random{argc > 2 ? strtoull(argv[2], nullptr, 10) : 1};
	size_t accepted = 0, allowed = 0, count = strtoull(argv[1], nullptr, 10);
	for (size_t i = 0; i < count; i++) {
		std::string input = mutate(corpus[random.below(corpus.size())], random, corpus);
		Request request;
		const char *reason = "";
		if (parse_request(reinterpret_cast<const uint8_t *>(input.data()), input.size(), &request, &reason)) {
			accepted++;
			Encoder answer, again;
			for (const Value &argument : request.arguments) {
				again.value(argument);
				if (primitives.check(argument).ok())
					allowed++;
				for (const Value &item : argument.items)
					for (const Value &part : item.items)
						allowed += primitives.check(part).ok();
				primitives.read(argument, &answer);
			}
			if (request.operation == "declare" && request.arguments.size() == 1)
				services.declare(request.arguments[0]);                 // its record cannot be written here
			for (size_t j = 0, at = 0; j < request.arguments.size(); j++) { // what is read is written the same
				Encoder one;
				one.value(request.arguments[j]);
				if (again.data().compare(at, one.data().size(), one.data()) != 0)
					abort();
				at += one.data().size();
			}
		}
		if (i % 16 == 0)
			Policy::parse(input, &other, &why);
	}
	printf("inputs=%zu requests=%zu allowed=%zu\n", count, accepted, allowed);
	return 0;
}
