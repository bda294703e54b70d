#include "commands/configuration_file.hpp"

#include "bba/base/error.hpp"
#include "bba/base/fd.hpp"
#include "bba/base/text.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/run/recorded_container.hpp"

namespace bba::commands {

namespace {

constexpr std::size_t most_bytes = std::size_t{16} << 20;

void require(bool good, const std::string& fault) {
  if (!good) throw Error(ErrorKind::artifact, fault);
}

}  // namespace

wire::Container read_configuration(const store::OwnedDirectory& directory,
                                   const store::Manifest& manifest) {
  const store::ConfigurationRecord& record = manifest.container.configuration.value();
  const std::string expected = store::configuration_name(manifest.module, manifest.started);
  require(record.file == expected,
          fmt::format("the configuration of this set's container would be called {}", expected));
  require(directory.contains(record.file), "missing: the manifest names it, and it is not there");
  const std::string text = read_rest(directory.open_file(record.file).get(), most_bytes,
                                     ErrorKind::artifact, record.file);
  pipe::Hasher hasher;
  hasher.update(as_bytes(text));
  const std::string sha256 = hasher.hex();
  require(text.size() == record.bytes,
          fmt::format("it has {} bytes, and the manifest says {}", text.size(), record.bytes));
  require(sha256 == record.sha256,
          fmt::format("its sha256 is {}, and the manifest says {}", sha256, record.sha256));
  wire::Container container = run::recorded_container(text);
  require(container.id == manifest.container.id,
          "it is of another container than the one that was backed up");
  return container;
}

}  // namespace bba::commands
