#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/failure.h"
#include "cli/session.h"

namespace drawbridge::cli {

// What the command line asks for, with its options bound.
using Verb = std::function<ExitCode(Session&)>;

// Each declares a group of verbs. Parsing one puts it into `chosen`, which must outlive `app`; it
// is carried out afterwards.
void AddApply(CLI::App& app, Verb& chosen);
void AddGet(CLI::App& app, Verb& chosen);
void AddDescribe(CLI::App& app, Verb& chosen);
void AddDelete(CLI::App& app, Verb& chosen);
void AddPauseAndResume(CLI::App& app, Verb& chosen);
void AddEndpoint(CLI::App& app, Verb& chosen);
void AddCheckpointsAndGaps(CLI::App& app, Verb& chosen);
void AddDeadLetters(CLI::App& app, Verb& chosen);
void AddRelay(CLI::App& app, Verb& chosen);
void AddCredential(CLI::App& app, Verb& chosen);
void AddStatus(CLI::App& app, Verb& chosen);
void AddVersion(CLI::App& app, Verb& chosen);

// `get KIND`, which other verbs offer by another name: `relay list`.
ExitCode GetAll(Session& session, const std::string& kind);

// Binds the parsed options to what the verb does with them.
template <typename Options>
void Bind(CLI::App& verb, Verb& chosen, std::shared_ptr<Options> options,
          ExitCode (*act)(Session&, const Options&)) {
  verb.callback([&chosen, options = std::move(options), act] {
    chosen = [options, act](Session& session) { return act(session, *options); };
  });
}

// --reason, which every change has.
void AddReason(CLI::App& verb, std::string& reason);

// A check that lets these words pass, and says which is nearest to another.
CLI::Validator OneOf(std::vector<std::string> words);

// An option that takes a duration like 10m. At least a millisecond.
CLI::Option* AddDuration(CLI::App& app, const std::string& name, Duration& value,
                         const std::string& help);

}  // namespace drawbridge::cli
