#include "bba/classes/minio.hpp"

#include <algorithm>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

namespace bba::classes {

wire::ExecConfig minio_client(const Target& target, const std::string& alias,
                              const std::map<std::string, std::string>& operator_environment,
                              const std::optional<std::string>& user,
                              const std::optional<std::string>& password) {
  wire::ExecConfig mc;
  mc.argv = {"mc", "--quiet"};
  const std::string variable = "MC_HOST_" + alias;
  const auto lent = operator_environment.find(variable);
  if (lent != operator_environment.end()) {
    mc.env.push_back({variable, lent->second});
  } else if (user && password) {
    mc.env.push_back(
        {variable, fmt::format("http://{}:{}@127.0.0.1:9000", wire::percent_encoded(*user),
                               wire::percent_encoded(*password))});
  }
  // mc writes its configuration folder; a read-only root file system has no place for it but this.
  if (target.container.readonly_rootfs) mc.env.push_back({"MC_CONFIG_DIR", "/tmp/.mc"});
  mc.env.insert(mc.env.end(), target.operator_env.begin(), target.operator_env.end());
  return mc;
}

std::optional<ObjectEntry> parse_object_line(std::string_view line) {
  const std::optional<Json> json = parse_json(line);
  if (!json || !json->is_object()) return std::nullopt;
  if (string_member(*json, "status") == "error") {
    std::string message = "mc reports an error";
    if (const Json* error = member(*json, "error")) {
      message = string_member(*error, "message").value_or(message);
      if (const Json* cause = member(*error, "cause")) {
        const auto detail = string_member(*cause, "message");
        if (detail && !detail->empty()) message += ": " + *detail;
      }
    }
    throw Error(ErrorKind::capture, "mc: " + message,
                "check MINIO_MC_ALIAS and the credentials behind it");
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

Capture minio_objects(const Target& target, const wire::ExecConfig& mc, const std::string& alias) {
  Capture capture;
  capture.target = target;
  capture.strategy = "objects through mc";
  capture.consistency = Consistency::live;
  capture.consistency_reason = "each object is read whole and compared with its listing";
  capture.parts.push_back({"", ObjectMirror{alias, mc}});
  capture.follow_ups.push_back(
      "not in it: policies, users, lifecycle rules, tags, older versions of objects");
  return capture;
}

}  // namespace bba::classes
