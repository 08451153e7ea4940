//! Turns a device's name into Burn's device. One match arm per backend, so that one can go.

pub(crate) use burn::tensor::Device;

/// Opens `flex`, `libtorch` or `libtorch-cuda:N`.
///
/// # Errors
/// When the name is not known or its backend is not compiled in.
pub(crate) fn open(name: &str) -> Result<Device, String> {
    match name {
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "libtorch")]
        #[allow(deprecated)] // burn-tch is deprecated in 0.22 and has no successor that builds offline
        "libtorch" => Ok(Device::libtorch()),
        #[cfg(feature = "libtorch")]
        #[allow(deprecated)] // as above
        name if name.starts_with("libtorch-cuda:") => {
            let index = name.trim_start_matches("libtorch-cuda:");
            let index: usize =
                index.parse().map_err(|_| format!("`{index}` is no GPU number; write libtorch-cuda:0"))?;
            Ok(Device::libtorch_cuda(index))
        }
        #[cfg(not(feature = "libtorch"))]
        name if name.starts_with("libtorch") => {
            Err(format!("`{name}` needs `cargo build --workspace --features model/libtorch`; this build has flex"))
        }
        other => Err(format!("`{other}` is no device; use flex, libtorch or libtorch-cuda:N")),
    }
}
