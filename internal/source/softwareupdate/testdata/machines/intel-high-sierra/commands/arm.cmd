sysctl -n hw.optional.arm64
