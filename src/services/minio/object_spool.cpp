#include "object_spool.hpp"

#include <array>
#include <cerrno>
#include <unistd.h>

#include "bba/base/error.hpp"
#include "bba/base/json.hpp"

namespace bba::services::minio {

void ObjectSpool::add(const ObjectEntry& object) {
  pending_ += dump_json({object.key, object.size, object.mtime, object.etag}) + '\n';
  if (pending_.size() > (256 << 10)) flush();
}

void ObjectSpool::flush() {
  file_.write(as_bytes(pending_));
  pending_.clear();
}

void ObjectSpool::for_each(const std::function<void(ObjectEntry)>& use) const {
  std::string text;
  std::array<char, 64 * 1024> buffer{};
  off_t offset = 0;
  for (;;) {
    const ssize_t count = ::pread(file_.fd(), buffer.data(), buffer.size(), offset);
    if (count < 0) throw system_error(ErrorKind::storage, "reading the list of objects", errno);
    if (count == 0) return;
    offset += count;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
      const std::optional<Json> json =
          parse_json(std::string_view(text).substr(begin, end - begin));
      const Json& one = json.value();
      ObjectEntry object;
      object.key = one[0].get<std::string>();
      object.size = one[1].get<std::uint64_t>();
      object.mtime = one[2].get<std::int64_t>();
      object.etag = one[3].get<std::string>();
      use(std::move(object));
    }
    text.erase(0, begin);
  }
}

}  // namespace bba::services::minio
