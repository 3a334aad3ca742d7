#include "base/yaml_settings.h"

#include <memory>
#include <string>
#include <vector>

#include <yaml-cpp/yaml.h>

namespace drawbridge {
namespace {

class YamlSettings final : public CLI::Config {
 public:
  std::string to_config(const CLI::App* /*app*/, bool /*defaults*/, bool /*descriptions*/,
                        std::string /*prefix*/) const override {
    return {};  // nothing here writes settings
  }

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> settings;
    try {
      Add(YAML::Load(input), {}, settings);
    } catch (const YAML::Exception& error) {
      throw CLI::FileError(std::string("the settings file is no YAML: ") + error.what(),
                           CLI::ExitCodes::FileError);
    }
    return settings;
  }

 private:
  static void Add(const YAML::Node& node, const std::vector<std::string>& parents,
                  std::vector<CLI::ConfigItem>& settings) {
    for (const auto& entry : node) {
      const auto name = entry.first.as<std::string>();
      if (entry.second.IsMap()) {
        std::vector<std::string> below = parents;
        below.push_back(name);
        Add(entry.second, below, settings);
        continue;
      }
      CLI::ConfigItem item;
      item.parents = parents;
      item.name = name;
      if (entry.second.IsSequence()) {
        for (const auto& value : entry.second) item.inputs.push_back(value.as<std::string>());
      } else {
        item.inputs.push_back(entry.second.as<std::string>());
      }
      settings.push_back(std::move(item));
    }
  }
};

}  // namespace

void ReadYamlSettings(CLI::App& app) {
  app.set_config("--config", "", "Read settings from this YAML file");
  app.config_formatter(std::make_shared<YamlSettings>());
  app.allow_config_extras(CLI::config_extras_mode::error);
}

}  // namespace drawbridge
