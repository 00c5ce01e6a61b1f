// SPDX-License-Identifier: Apache-2.0
// The life of a change: armed, applied step by step, then confirmed or undone; its record on disk.
#include "changes.h"

#include <algorithm>
#include <sys/types.h>
#include <unistd.h>

#include "../fd.h"
#include "files.h"

namespace {

constexpr size_t kMaxOpen = 64;
constexpr size_t kMaxSteps = 64;
constexpr size_t kKept = 512;
constexpr int64_t kMaxDeadlineMs = 600000;
// With what it takes to notice, undone well within 10 s of the agent's death; and time for a restarted agent to be back.
constexpr int64_t kGraceMs = 5000;
constexpr int64_t kRetryMs = 1000;
constexpr int kMaxAttempts = 5;
constexpr size_t kMaxRecordBytes = 2 << 20;

uint32_t checksum(const std::string &data) { // CRC-32 (IEEE 802.3)
	uint32_t crc = ~uint32_t{0};
	for (unsigned char byte : data) {
		crc ^= byte;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

} // namespace

Changes::Changes(Loop &loop, Primitives &primitives, std::string directory, std::function<void(const std::string &)> note)
    : loop_(loop), primitives_(primitives), directory_(std::move(directory)), boot_(boot_id()), note_(std::move(note)) {}

Outcome Changes::save(const Change &change) {
	Encoder body;
	body.array(8).number(1).text(change.id).text(change.boot).number(change.deadline_ms).number(change.order);
	body.array(2).number(change.state).number(change.begun).text(change.reason).value(change.steps);
	Encoder record;
	record.array(2).number(checksum(body.data())).bytes(body.data());
	return write_durably(directory_, change.id, record.data());
}

bool Changes::load(const std::string &file, Change *change) const {
	std::string bytes;
	Value record, body;
	const char *why;
	auto decode = [&](const std::string &text, Value *out) { return decode_cbor(reinterpret_cast<const uint8_t *>(text.data()), text.size(), out, &why); };
	if (!read_whole(directory_ + "/" + file, kMaxRecordBytes, &bytes) || !decode(bytes, &record) || !record.is(Value::kArray) || record.items.size() != 2)
		return false;
	if (!record.items[1].is(Value::kBytes) || record.items[0].number != checksum(record.items[1].text) || !decode(record.items[1].text, &body) || body.items.size() != 8)
		return false;
	const auto &items = body.items;
	if (items[0].number != 1 || items[1].text != file || items[5].items.size() != 2 || !items[7].is(Value::kArray))
		return false;
	change->id = items[1].text;
	change->boot = items[2].text;
	change->deadline_ms = items[3].number;
	change->order = items[4].number;
	change->state = static_cast<State>(items[5].items[0].number);
	change->begun = items[5].items[1].number;
	change->reason = items[6].text;
	change->steps = items[7];
	return true;
}

void Changes::recover() {
	Directory directory(directory_.c_str());
	std::vector<std::string> names;
	while (const char *name = directory.next())
		if (is_plain_name(name))
			names.emplace_back(name);
	for (const std::string &name : names) {
		Change change;
		if (name.size() > 4 && name.substr(name.size() - 4) == ".tmp") {
			unlink((directory_ + "/" + name).c_str()); // a write that a crash cut short: the record before it stands
			continue;
		}
		if (name.find("corrupt:") == 0)
			continue;
		if (!load(name, &change)) {
			rename((directory_ + "/" + name).c_str(), (directory_ + "/corrupt:" + name).c_str());
			note_("the record of " + name + " is corrupt: kept as corrupt:" + name + "; its change may have to be undone by hand");
			continue;
		}
		next_order_ = std::max(next_order_, change.order + 1);
		changes_[name] = std::move(change);
	}
	std::vector<Primitives::Step> kept;
	for (auto &[id, change] : changes_) {
		if (change.state == kConfirmed)
			for (const auto &step : kept_by(change))
				kept.push_back(step);
		if (change.state != kArmed)
			continue;
		if (change.boot != boot_)
			undo(id, "after a reboot", [](Outcome) {});
		else
			schedule(&change);
	}
	primitives_.settle(kept, [] {});
	agent_gone(); // until it says that it is there
}

void Changes::schedule(Change *change) {
	std::string id = change->id;
	change->timer = loop_.after(std::max<int64_t>(0, change->deadline_ms - Loop::now_ms()), [this, id] { undo(id, "its deadline has passed", [](Outcome) {}); });
}

Outcome Changes::check(const Value &steps) const {
	if (!steps.is(Value::kArray) || steps.items.empty() || steps.items.size() > kMaxSteps)
		return Outcome::refused("a change has 1 to 64 steps");
	for (const Value &step : steps.items) {
		if (!step.is(Value::kArray) || step.items.size() != 2 || !step.items[1].is(Value::kArray))
			return Outcome::refused("a step is a primitive and its undo");
		Outcome outcome = primitives_.check(step.items[0]);
		if (outcome.ok() && !step.items[1].items.empty())
			outcome = primitives_.check(step.items[1]);
		if (!outcome.ok())
			return outcome;
	}
	return Outcome::fine();
}

Outcome Changes::certified_by(const Value &steps, std::string *rule) const {
	rule->clear();
	for (const Value &step : steps.items) {
		if (!step.is(Value::kArray) || step.items.size() != 2)
			return Outcome::refused("a step is a primitive and its undo");
		for (const Value &primitive : step.items) { // its undo too: the agent can have that done
			if (&primitive == &step.items[1] && primitive.is(Value::kArray) && primitive.items.empty())
				continue; // nothing undoes it
			Outcome known = primitives_.certified_by(primitive, rule);
			if (!known.ok() || !rule->empty())
				return known;
		}
	}
	return Outcome::fine();
}

Outcome Changes::arm(const std::string &id, int64_t fire_after_ms, const Value &steps) {
	if (!is_plain_name(id) || id.size() > 48 || id.find('.') != std::string::npos)
		return Outcome::refused("a change needs a plain name of at most 48 characters");
	if (changes_.count(id) > 0)
		return Outcome::refused(id + ": replayed; a change is armed once");
	if (open() >= kMaxOpen)
		return Outcome::refused("64 changes are open already");
	if (fire_after_ms < 1 || fire_after_ms > kMaxDeadlineMs)
		return Outcome::refused(id + ": a deadline " + std::to_string(fire_after_ms) + " ms away: must be 1 to 600,000 ms");
	Outcome sound = check(steps);
	if (!sound.ok())
		return sound;
	Change change;
	change.id = id;
	change.boot = boot_;
	change.deadline_ms = Loop::now_ms() + fire_after_ms;
	change.order = next_order_++;
	change.steps = steps;
	Outcome saved = save(change);
	if (!saved.ok())
		return saved;
	Change &kept = changes_[id] = std::move(change);
	schedule(&kept);
	prune();
	return Outcome::fine();
}

void Changes::apply(const std::string &id, int64_t step, Done done) {
	auto found = changes_.find(id);
	if (found == changes_.end() || found->second.state != kArmed)
		return done(Outcome::refused(id + ": no such change is armed"));
	Change *change = &found->second;
	if (change->running || !change->undoing.empty())
		return done(Outcome::refused(id + ": busy"));
	if (step != change->begun || step >= static_cast<int64_t>(change->steps.items.size()))
		return done(Outcome::refused(id + ": replayed; step " + std::to_string(change->begun) + " is next"));
	change->begun++;
	Outcome saved = save(*change); // before it is tried: after a crash it counts as tried
	if (!saved.ok()) {
		change->begun--;
		return done(saved);
	}
	change->running = true;
	size_t index = static_cast<size_t>(step);
	primitives_.run(change->steps.items[index].items[0], key(*change, index), [this, change, done](Outcome outcome) {
		change->running = false;
		done(outcome);
		if (!change->undoing.empty())
			undo_from(change, change->begun - 1, "");
	});
}

// What was done, whose undo is not needed any more.
std::vector<Primitives::Step> Changes::kept_by(const Change &change) const {
	std::vector<Primitives::Step> kept;
	for (size_t i = 0; i < change.steps.items.size() && static_cast<int64_t>(i) < change.begun; i++)
		kept.emplace_back(change.steps.items[i].items[0], key(change, i));
	return kept;
}

// Who has the services down that it stopped, and that do not run again.
Outcome Changes::intend(const Change &change, Services::Intent by) {
	Outcome all;
	for (size_t i = 0; i < change.steps.items.size() && static_cast<int64_t>(i) < change.begun; i++) {
		for (const Value &primitive : change.steps.items[i].items) {
			Outcome one = primitives_.intend(primitive, by);
			all = one.ok() ? all : one;
		}
	}
	return all;
}

void Changes::confirm(const std::string &id, bool by_person, Done done) {
	auto found = changes_.find(id);
	if (found == changes_.end())
		return done(Outcome::not_found(id + ": no such change"));
	Change *change = &found->second;
	if (change->state == kConfirmed)
		return done(Outcome::fine());
	if (change->state != kArmed || change->running || !change->undoing.empty())
		return done(Outcome::refused(id + ": " + (change->reason.empty() ? "busy" : change->reason)));
	Outcome intended = intend(*change, by_person ? Services::kPerson : Services::kPolicy);
	if (!intended.ok())
		return done(intended);
	change->state = kConfirmed;
	change->reason = "confirmed";
	Outcome saved = save(*change);
	if (!saved.ok()) { // not durable: after a crash it would be undone
		change->state = kArmed;
		change->reason.clear();
		return done(saved);
	}
	loop_.cancel(change->timer);
	primitives_.settle(kept_by(*change), [done] { done(Outcome::fine()); });
}

void Changes::finish(Change *change, State state, const std::string &reason) {
	change->state = state;
	change->reason = reason;
	loop_.cancel(change->timer);
	intend(*change, Services::kNobody);
	Outcome saved = save(*change);
	if (!saved.ok())
		note_(change->id + ": " + saved.message);
}

void Changes::undo(const std::string &id, const std::string &reason, Done done) {
	auto found = changes_.find(id);
	if (found == changes_.end())
		return done(Outcome::not_found(id + ": no such change"));
	Change *change = &found->second;
	if (change->state == kUndone)
		return done(Outcome::fine());
	if (change->state != kArmed)
		return done(Outcome::refused(id + ": " + change->reason));
	change->undoing.push_back(std::move(done));
	if (change->undoing.size() > 1)
		return;
	change->reason = reason;
	if (!change->running)
		undo_from(change, change->begun - 1, "");
}

void Changes::undo_from(Change *change, int64_t step, std::string problems) {
	bool other_boot = change->boot != boot_;
	while (step >= 0) {
		const Value &undo = change->steps.items[static_cast<size_t>(step)].items[1];
		if (!undo.items.empty() && (!other_boot || Primitives::outlives_boot(undo)))
			break;
		step--;
	}
	if (step >= 0) {
		size_t index = static_cast<size_t>(step);
		primitives_.run(change->steps.items[index].items[1], key(*change, index), [this, change, step, problems](Outcome outcome) {
			bool over = outcome.ok() || outcome.code == Outcome::kGone;
			undo_from(change, step - 1, over ? problems : problems + (problems.empty() ? "" : "; ") + outcome.message);
		});
		return;
	}
	if (!problems.empty() && ++change->attempts < kMaxAttempts) {
		loop_.after(kRetryMs, [this, change] { undo_from(change, change->begun - 1, ""); });
		return;
	}
	std::string reason = change->reason;
	finish(change, problems.empty() ? kUndone : kFailed, problems.empty() ? reason : reason + "; the undo failed: " + problems);
	note_(change->id + " undone: " + change->reason);
	std::vector<Done> waiting;
	waiting.swap(change->undoing);
	for (Done &done : waiting)
		done(problems.empty() ? Outcome::fine() : Outcome::failed(problems));
}

void Changes::state(const std::string &id, Encoder *answer) const {
	const char *const names[] = {"armed", "confirmed", "undone", "failed"};
	auto found = changes_.find(id);
	bool known = found != changes_.end();
	answer->array(3).text(known ? names[found->second.state] : "unknown").number(known ? found->second.begun : 0).text(known ? found->second.reason : "");
}

void Changes::fire_all(const std::string &reason) {
	std::vector<std::pair<int64_t, std::string>> armed;
	for (const auto &[id, change] : changes_)
		if (change.state == kArmed)
			armed.emplace_back(-change.order, id);
	std::sort(armed.begin(), armed.end()); // the newest first
	for (const auto &[order, id] : armed)
		undo(id, reason, [](Outcome) {});
}

void Changes::agent_gone() {
	loop_.cancel(grace_);
	grace_ = loop_.after(kGraceMs, [this] { fire_all("the agent is gone"); });
}

void Changes::agent_back() { loop_.cancel(grace_); }

size_t Changes::open() const {
	return static_cast<size_t>(std::count_if(changes_.begin(), changes_.end(), [](const auto &entry) { return entry.second.state == kArmed; }));
}

void Changes::prune() {
	while (changes_.size() > kKept + kMaxOpen) {
		auto oldest = changes_.end();
		for (auto it = changes_.begin(); it != changes_.end(); ++it)
			if (it->second.state != kArmed && (oldest == changes_.end() || it->second.order < oldest->second.order))
				oldest = it;
		unlink((directory_ + "/" + oldest->first).c_str());
		changes_.erase(oldest);
	}
}
