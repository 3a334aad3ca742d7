#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "cli/secret_input.h"
#include "cli/text.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "drawbridge/v1/credential.grpc.pb.h"

namespace drawbridge::cli {
namespace {

struct SetOptions {
  std::string name;
  std::string kind;
  std::string username;
  std::string password_file;
  std::string api_key_file;
  std::string certificate_file;
  std::string key_file;
  std::string key_password_file;
  std::string reason;
};

struct OptionUse {
  std::string_view option;
  const std::string& value;
  bool is_of_kind;
  bool is_required;
};

// Whether the options fit the kind: what is missing, and what is for another kind.
std::optional<Failure> CheckOptions(const SetOptions& options) {
  const bool is_mtls = options.kind == EnumWord(v1::CREDENTIAL_KIND_MTLS);
  const bool is_api_key = options.kind == EnumWord(v1::CREDENTIAL_KIND_API_KEY);
  const bool is_login = !is_mtls && !is_api_key;
  const OptionUse uses[] = {{"username", options.username, is_login, true},
                            {"password-file", options.password_file, is_login, true},
                            {"api-key-file", options.api_key_file, is_api_key, true},
                            {"certificate", options.certificate_file, is_mtls, true},
                            {"key", options.key_file, is_mtls, true},
                            {"key-password-file", options.key_password_file, is_mtls, false}};
  Failure failure{ExitCode::kUsage, {}};
  const auto refuse = [&](const OptionUse& use, std::string_view what) {
    failure.problems.push_back({std::string(Name(Reason::kFieldInvalid)),
                                fmt::format("{} {} --{}", options.kind, what, use.option),
                                std::string(use.option),
                                {}});
  };
  for (const OptionUse& use : uses) {
    if (use.is_of_kind && use.is_required && use.value.empty()) refuse(use, "needs");
    if (!use.is_of_kind && !use.value.empty()) refuse(use, "does not take");
  }
  const auto inputs =
      std::ranges::count_if(uses, [](const OptionUse& use) { return use.value == "-"; });
  if (inputs > 1) {
    failure.problems.push_back({std::string(Name(Reason::kFieldInvalid)),
                                "only one secret can come from standard input",
                                "",
                                {}});
  }
  if (failure.problems.empty()) return std::nullopt;
  return failure;
}

// Reads every file that was named into its field.
std::optional<Failure> FillSecret(Terminal& terminal, const SetOptions& options,
                                  v1::CredentialSecret& secret) {
  using Reader = Result<Secret> (*)(Terminal&, const std::string&, const std::string&);
  struct Part {
    const std::string& file;
    std::string option;
    Reader read;
    std::string* field;
  };
  const Part parts[] = {
      {options.password_file, "password-file", ReadPassword, secret.mutable_password()},
      {options.api_key_file, "api-key-file", ReadPassword, secret.mutable_password()},
      {options.certificate_file, "certificate", ReadSecret, secret.mutable_certificate_pem()},
      {options.key_file, "key", ReadSecret, secret.mutable_key_pem()},
      {options.key_password_file, "key-password-file", ReadPassword,
       secret.mutable_key_password()}};
  for (const Part& part : parts) {
    if (part.file.empty()) continue;
    const Result<Secret> content = part.read(terminal, part.file, part.option);
    if (!content.ok()) return content.failure();
    *part.field = content->Reveal();
  }
  return std::nullopt;
}

void PrintStored(Session& session, const v1::Credential& credential) {
  if (session.wants_json()) return session.Print(ToJson(credential));
  session.Print(fmt::format("credential {} stored as version {}", Printable(credential.name()),
                            credential.version()));
  if (credential.has_not_after()) {
    session.Print(
        fmt::format("its certificate ends at {}", OrUnknown(true, credential.not_after())));
  }
}

ExitCode Set(Session& session, const SetOptions& options) {
  if (const std::optional<Failure> wrong = CheckOptions(options)) return session.Fail(*wrong);
  v1::SetCredentialRequest request;
  request.set_name(options.name);
  request.set_reason(options.reason);
  v1::CredentialSecret& secret = *request.mutable_secret();
  secret.set_kind(
      EnumFromWord<v1::CredentialKind>(options.kind).value_or(v1::CREDENTIAL_KIND_UNSPECIFIED));
  secret.set_username(options.username);
  if (const std::optional<Failure> wrong = FillSecret(session.terminal(), options, secret)) {
    return session.Fail(*wrong);
  }
  const auto credential =
      session.Mutate(&v1::CredentialService::Stub::SetCredential, std::move(request));
  if (!credential.ok()) return session.Fail(credential.failure());
  PrintStored(session, *credential);
  return ExitCode::kOk;
}

constexpr const char* kExamples =
    R"(Secrets come from files or standard input only. The line end of a password file is dropped.
Setting a credential again stores a new version, which relays take up without a restart.

Examples:
  drawbridge credential set oci-user --kind sasl-plain --username 'tenancy/user/pool' \
      --password-file auth-token.txt
  pass show kafka | drawbridge credential set app --kind sasl-scram-sha-512 --username app \
      --password-file -
  drawbridge credential set aws-client --kind mtls --certificate client.pem --key client-key.pem
  drawbridge credential set search --kind basic --username drawbridge --password-file -)";

void AddSet(CLI::App& credential, Verb& chosen) {
  auto options = std::make_shared<SetOptions>();
  CLI::App& set = *credential.add_subcommand("set", "Store a secret, or a new version of it");
  set.add_option("NAME", options->name, "The credential")->required()->type_name("");
  set.add_option("--kind", options->kind,
                 "sasl-plain, sasl-scram-sha-256, sasl-scram-sha-512, mtls, basic or api-key")
      ->required()
      ->check(OneOf(EnumWords<v1::CredentialKind>()))
      ->type_name("KIND");
  set.add_option("--username", options->username, "SASL, basic: the user")->type_name("USER");
  set.add_option("--password-file", options->password_file,
                 "SASL, basic: the password's file, or -")
      ->type_name("FILE");
  set.add_option("--api-key-file", options->api_key_file,
                 "API key: the file of the encoded key, or -")
      ->type_name("FILE");
  set.add_option("--certificate", options->certificate_file,
                 "mTLS: the client's certificate and its chain, PEM")
      ->type_name("FILE");
  set.add_option("--key", options->key_file, "mTLS: the private key, PEM, or -")->type_name("FILE");
  set.add_option("--key-password-file", options->key_password_file,
                 "mTLS: the passphrase of the key, or -")
      ->type_name("FILE");
  AddReason(set, options->reason);
  set.footer(kExamples);
  Bind(set, chosen, std::move(options), Set);
}

}  // namespace

void AddCredential(CLI::App& app, Verb& chosen) {
  CLI::App& credential = *app.add_subcommand("credential", "Store and list credentials");
  credential.require_subcommand(1);
  credential.footer("A secret goes in and never comes out: no verb shows one.");
  AddSet(credential, chosen);
  CLI::App& list =
      *credential.add_subcommand("list", "List the credentials, as `get credentials` does");
  list.callback(
      [&chosen] { chosen = [](Session& session) { return GetAll(session, "credentials"); }; });
}

}  // namespace drawbridge::cli
