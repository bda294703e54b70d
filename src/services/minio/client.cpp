#include "client.hpp"

#include <algorithm>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

namespace bba::services::minio {

namespace {

// A value of a listing is some hundred bytes: a key has 1024 at most.
constexpr std::size_t longest_value = 64 << 10;

[[noreturn]] void refuse_listing(std::string_view text) {
  throw Error(ErrorKind::capture,
              fmt::format("mc ls printed what is not a listing: {}", text.substr(0, 200)));
}

// mc's own sentences end in a full stop, and more text follows them here.
std::string_view without_stop(std::string_view sentence) {
  while (sentence.ends_with('.')) sentence.remove_suffix(1);
  return sentence;
}

std::string error_words(const Json& value) {
  const Json* error = member(value, "error");
  if (error == nullptr) return "an error that it does not name";
  std::string words(
      without_stop(string_member(*error, "message").value_or("an error that it does not name")));
  if (const Json* cause = member(*error, "cause")) {
    const std::string detail = string_member(*cause, "message").value_or("");
    if (!detail.empty()) words += ": " + detail;
  }
  return words;
}

// The one value that a command printed, whatever text precedes it: on its first start mc says
// what it writes.
std::optional<Json> value_in(std::string_view answer) {
  const std::size_t begin = answer.find('{');
  return begin == answer.npos ? std::nullopt : parse_json(answer.substr(begin));
}

}  // namespace

bool valid_alias(std::string_view alias) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !alias.empty() && letter(alias.front()) &&
         std::all_of(alias.begin(), alias.end(), [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

std::vector<std::string> user_variables() {
  return {"MINIO_ROOT_USER", "MINIO_ACCESS_KEY"};
}

std::vector<std::string> password_variables() {
  return {"MINIO_ROOT_PASSWORD", "MINIO_SECRET_KEY"};
}

wire::ExecConfig client(const service::Target& target, const std::string& alias,
                        const std::map<std::string, std::string>& operator_environment,
                        const std::optional<std::string>& user,
                        const std::optional<std::string>& password) {
  wire::ExecConfig mc;
  mc.argv = {"mc", "--quiet"};
  const std::string variable = "MC_HOST_" + alias;
  const auto lent = operator_environment.find(variable);
  if (lent != operator_environment.end()) {
    mc.env.push_back({variable, lent->second});
  } else if (user && password && (*user + *password).find(':') == std::string::npos) {
    // mc takes both literally, up to the next ':' or the last '@': with a ':' in them they cannot
    // be given this way, and mc's own configuration may still know the alias.
    mc.env.push_back({variable, fmt::format("http://{}:{}@127.0.0.1:9000", *user, *password)});
  }
  // mc writes its configuration folder. A read-only root file system has no place for it, but every
  // container has this one, and it is gone with the container.
  if (target.container.readonly_rootfs) mc.env.push_back({"MC_CONFIG_DIR", "/dev/shm/.mc"});
  mc.env.insert(mc.env.end(), target.operator_env.begin(), target.operator_env.end());
  return mc;
}

wire::ExecConfig with_arguments(wire::ExecConfig mc, const std::vector<std::string>& arguments) {
  mc.argv.insert(mc.argv.end(), arguments.begin(), arguments.end());
  return mc;
}

std::optional<std::string> alias_unknown_because(std::string_view answer, std::string_view alias) {
  const std::optional<Json> value = value_in(answer);
  if (!value) return "its answer is not a JSON object";
  if (string_member(*value, "status") == "error") return error_words(*value);
  if (string_member(*value, "alias") == alias) return std::nullopt;
  return "its answer names no alias, or another";
}

std::optional<ObjectEntry> parse_object_line(std::string_view line) {
  const std::optional<Json> json = parse_json(line);
  if (!json || !json->is_object()) return std::nullopt;
  if (string_member(*json, "status") == "error") {
    throw Error(ErrorKind::capture, "mc: " + error_words(*json),
                "check MINIO_MC_ALIAS and the credentials behind it");
  }
  const auto url = string_member(*json, "url");
  if (url && !url->starts_with("http://") && !url->starts_with("https://")) {
    throw Error(ErrorKind::config,
                "mc knows no alias of the name in MINIO_MC_ALIAS: it lists a directory of the "
                "container instead",
                "set MC_HOST_<alias> in your environment, or the alias in the container's mc");
  }
  const auto key = string_member(*json, "key");
  if (!key) return std::nullopt;
  ObjectEntry entry;
  entry.key = *key;
  entry.size = size_member(*json, "size").value_or(0);
  entry.etag = string_member(*json, "etag").value_or("");
  entry.is_folder = string_member(*json, "type") == "folder" || key->ends_with('/');
  if (const auto modified = string_member(*json, "lastModified")) {
    if (const auto time = parse_rfc3339(*modified)) entry.mtime = time->time_since_epoch().count();
  }
  return entry;
}

void ObjectListing::add(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    value_ += text.substr(0, end);
    if (value_.size() > longest_value) refuse_listing(value_);
    if (end == text.npos) return;
    text.remove_prefix(end + 1);
    take_line();
  }
}

void ObjectListing::end() {
  take_line();
  if (!trimmed(value_).empty()) refuse_listing(value_);
  if (end_ == End::totals) compare_totals();
}

void ObjectListing::compare_totals() const {
  if (!said_) {
    throw Error(ErrorKind::capture,
                "mc ls did not end with the totals of its listing: some of it may be missing",
                "does the mc in the image know `ls --summarize`? If so, try again");
  }
  if (*said_ != listed_) {
    throw Error(ErrorKind::capture,
                fmt::format("mc ls listed {} objects of {} bytes, and its totals are {} and {}",
                            listed_.objects, listed_.bytes, said_->objects, said_->bytes));
  }
}

std::optional<ObjectListing::Totals> ObjectListing::totals_in(const Json& value) {
  const auto objects = size_member(value, "totalObjects");
  const auto bytes = size_member(value, "totalSize");
  if (!objects || !bytes) return std::nullopt;
  return Totals{*objects, *bytes};
}

void ObjectListing::take_line() {
  const std::string_view value = trimmed(value_);
  if (value.empty()) return;
  if (!value.starts_with('{')) refuse_listing(value);
  const std::optional<Json> json = parse_json(value);
  if (!json) {
    value_ += '\n';  // it continues in the next line
    return;
  }
  if (const auto totals = totals_in(*json); totals && end_ == End::totals && !said_) {
    said_ = totals;
  } else {
    const auto entry = parse_object_line(value);
    // Nothing may follow its totals.
    if (!entry || said_) refuse_listing(value);
    ++listed_.objects;
    listed_.bytes += entry->size;
    use_(*entry);
  }
  value_.clear();
}

bool is_md5(std::string_view etag) {
  return etag.size() == 32 && std::all_of(etag.begin(), etag.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

std::string bad_key(std::string_view key) {
  if (key.find('\0') != key.npos) return "it holds a NUL byte";
  for (const std::string_view component : split(key, '/')) {
    if (component == "..") return "it has a '..' component";
    if (component == ".") return "it has a '.' component";
    if (component.empty()) return "it has an empty component";
  }
  return {};
}

bool valid_bucket(std::string_view name) {
  const auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return name.size() >= 3 && name.size() <= 63 && name != "minio" &&
         letter_or_digit(name.front()) && letter_or_digit(name.back()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return letter_or_digit(c) || c == '.' || c == '-' || c == '_' || c == ':';
         });
}

std::optional<std::uint64_t> bucket_count(std::string_view answer) {
  const std::optional<Json> value = value_in(answer);
  if (!value || string_member(*value, "status") != "success") return std::nullopt;
  const Json* info = member(*value, "info");
  const Json* buckets = info == nullptr ? nullptr : member(*info, "buckets");
  // With an error the count is 0.
  if (buckets == nullptr || member(*buckets, "error") != nullptr) return std::nullopt;
  return size_member(*buckets, "count");
}

void note_hidden_buckets(service::Capture& capture, const std::string& alias,
                         const std::set<std::string>& shown, const ServerBuckets& server) {
  const std::size_t before = capture.incomplete.size();
  if (server.directories) {
    for (const std::string& bucket : *server.directories) {
      if (shown.contains(bucket)) continue;
      capture.incomplete.push_back(fmt::format(
          "bucket {}: the credentials of alias {} do not show it", printable(bucket), alias));
    }
  } else if (server.count && *server.count > shown.size()) {
    capture.incomplete.push_back(
        fmt::format("{} of {} buckets, as the server last counted them: the credentials of alias "
                    "{} do not show them",
                    *server.count - shown.size(), *server.count, alias));
  } else if (server.count != shown.size()) {
    // Not counted, or counted when there were fewer than now.
    capture.follow_ups.push_back(
        fmt::format("it is not known whether the credentials of alias {} show all buckets: this "
                    "host does not see the server's data, and `mc admin info` does not tell",
                    alias));
  }
  for (std::size_t i = before; i < capture.incomplete.size(); ++i) {
    capture.warnings.push_back("not in the backup: " + capture.incomplete[i]);
  }
}

service::Capture objects_capture(const service::Target& target, const wire::ExecConfig& mc,
                                 const std::string& alias) {
  service::Capture capture;
  capture.target = target;
  capture.strategy = "objects through mc";
  capture.consistency = service::Consistency::live;
  capture.consistency_reason = "each object is read whole and compared with its listing";
  // What a restore needs; of the environment only the names.
  capture.facts["alias"] = alias;
  capture.facts["mc_environment"] = service::environment_names(mc.env);
  capture.parts.push_back({"", nullptr, service::ServicePart{"objects of " + alias, alias, mc}});
  capture.follow_ups.push_back(
      "not in it: policies, users, lifecycle rules, tags, metadata, older versions of objects");
  return capture;
}

}  // namespace bba::services::minio
