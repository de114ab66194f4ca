# What hosts.yml says, for the Vagrantfile. labkit checks the file with more care (labkit/hosts/_vagrant_file.py).
require "fileutils"
require "rubygems/package"
require "zlib"

class Plan
  UNITS = { "MB" => 10**6, "GB" => 10**9, "TB" => 10**12, "MiB" => 2**20, "GiB" => 2**30, "TiB" => 2**40 }.freeze
  # With SMAP, AVX and RDTSCP an emulated processor (QEMU 7.2) goes wrong under nested guests.
  BROKEN = %w[smap xsave avx avx2 rdtscp].freeze
  SLOW = %w[erms fsrm].freeze # QEMU does byte by byte what the kernel takes these for quick at
  OWN_BOX = "labkit/debian"
  XEN_BOX = "labkit/xen"
  PUBLIC_BOX = "debian/bookworm64"
  NOT_PACKED = %w[.git .venv .vagrant .mypy_cache .ruff_cache .pytest_cache __pycache__ out].freeze

  attr_reader :hosts, :workstation

  def initialize(path)
    @path = path
    @plan = YAML.safe_load(File.read(path))
    defaults = @plan.fetch("defaults")
    @hosts = @plan.fetch("hosts").transform_values { |host| defaults.merge(host || {}) }
    @workstation = defaults.merge(@plan.fetch("workstation", {})).merge("engines" => [])
  rescue Psych::Exception, KeyError, NoMethodError, SystemCallError => e
    abort "#{path}: #{e.message}\nlabkit names the line: python3 -m labkit.hosts._vagrant_file #{path}"
  end

  def box(machine, host)
    name = ENV["LABKIT_VAGRANT_BOX"] || (xen?(host) ? XEN_BOX : host["box"])
    machine.vm.box = name
    return unless [OWN_BOX, XEN_BOX].include?(name)

    # Those are for libvirt.
    machine.vm.provider(:virtualbox) { |_, override| override.vm.box = PUBLIC_BOX } if name == OWN_BOX
    cache = ENV["LABKIT_CACHE"] || File.join(ENV["XDG_CACHE_HOME"] || File.join(Dir.home, ".cache"), "labkit")
    file = File.join(cache, "boxes", "#{name.tr("/", "-")}.box")
    return unless File.exist?(file)

    machine.vm.box_url = "file://#{file}"
    machine.vm.box_download_checksum = File.read("#{file}.sha256").split.first
    machine.vm.box_download_checksum_type = "sha256"
  end

  def kvm?
    (ENV["LABKIT_ACCELERATION"] || (File.writable?("/dev/kvm") ? "kvm" : "tcg")) == "kvm"
  end

  def xen?(host)
    host["engines"].include?("xen")
  end

  # The plugin takes features only with a model, and libvirt knows none for this mode.
  def processor
    kvm? ? [] : ["-cpu", ["max", *(BROKEN + SLOW).map { |flag| "#{flag}=off" }].join(",")]
  end

  # Emulated processors of one machine (QEMU 7.2 to 10) disturb each other: FXRSTOR on any of them writes to flags of
  # the first without a lock, and what a nested guest's exit clears there at that moment comes back. The host then dies.
  def cpus(host)
    kvm? ? host["cpus"] : 1
  end

  def accelerate(libvirt)
    if kvm?
      libvirt.cpu_mode = "host-passthrough"
      libvirt.nested = true
    else
      libvirt.driver = "qemu"
      libvirt.cpu_mode = "maximum"
      processor.each { |word| libvirt.qemuargs value: word }
    end
  end

  # Xen is booted as a kernel that is given two files: domain 0's kernel, with its words, and its initrd. libvirt has
  # no field for the two.
  def boot_xen(machine, host)
    return unless xen?(host)

    dom0 = "#{[bytes(host["memory"]) / 4, 512 * 2**20].max / 2**20}M"
    words = "console=com1 com1=115200,8n1 dom0_mem=#{dom0},max:#{dom0} bootscrub=0 loglvl=warning guest_loglvl=warning"
    words += " spec-ctrl=no xpti=0 tsc=stable:socket" unless kvm?
    machine.vm.provider(:libvirt) do |libvirt|
      box = $labkit_xen or next # its own Vagrantfile says where it lies, once Vagrant has it
      libvirt.cmd_line = ""
      [*processor, "-kernel", "#{box[:folder]}/hypervisor", "-append", words, "-initrd",
       "#{box[:folder]}/vmlinuz #{ENV["LABKIT_CMDLINE"] || box[:words]} console=hvc0,#{box[:folder]}/initrd.img"]
        .each { |word| libvirt.qemuargs value: word }
    end
  end

  def parts(host)
    xen?(host) ? %w[base xen ready] : ["base", "devices", *host["engines"], "ready"]
  end

  def size(machine, host)
    megabytes = bytes(host["memory"]) / 2**20
    machine.vm.provider(:libvirt) do |libvirt|
      libvirt.cpus = cpus(host)
      libvirt.memory = megabytes
      libvirt.machine_virtual_size = (bytes(host["disk"]) / 2.0**30).ceil
    end
    machine.vm.provider(:virtualbox) do |virtualbox|
      virtualbox.cpus = host["cpus"]
      virtualbox.memory = megabytes
      virtualbox.customize ["modifyvm", :id, "--nested-hw-virt", "on"]
      virtualbox.customize ["modifyvm", :id, "--graphicscontroller", "vmsvga"]
    end
  end

  # One script, for each that Vagrant runs takes an emulated host seconds.
  def script(*parts)
    ["common", *parts].map { |part| File.read(File.join(__dir__, "provision", "#{part}.sh")) }.join("\n")
  end

  def environment(name, host)
    addresses = host.fetch("addresses", {}).map do |network, address|
      "#{network}=#{address}/#{@plan["networks"][network].split("/").last}"
    end
    known = @hosts.flat_map { |other, its| its.fetch("addresses", {}).values.first(1).map { |address| "#{address} #{other}" } }
    { "LABKIT_NAME" => name, "LABKIT_ADDRESSES" => addresses.join(" "), "LABKIT_KNOWN" => known.join("\n") }
  end

  # Where the archive lies; it is there, if empty, before it is packed, for Vagrant looks for it early.
  def packed
    folder = ENV["VAGRANT_DOTFILE_PATH"] || File.join(__dir__, ".vagrant")
    FileUtils.mkdir_p(folder)
    File.join(folder, "labkit.tar.gz").tap { |path| FileUtils.touch(path) unless File.exist?(path) }
  end

  # The checkout as an archive, also where there is neither tar nor git.
  def pack(root)
    Zlib::GzipWriter.open(packed) do |file|
      Gem::Package::TarWriter.new(file) do |tar|
        Dir.glob("**/*", File::FNM_DOTMATCH, base: root).sort.each do |name|
          path = File.join(root, name)
          next if (name.split("/") & NOT_PACKED).any? || !File.file?(path) || File.symlink?(path)

          tar.add_file_simple(name, File.stat(path).mode & 0o777, File.size(path)) { |io| IO.copy_stream(path, io) }
        end
      end
    end
  end

  private

  def bytes(text)
    amount, unit = text.to_s.match(/\A\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B)\s*\z/)&.captures
    abort "#{@path}: #{text.inspect} is not a size: write a number and a unit, such as 1536 MiB" unless UNITS.key?(unit)
    (amount.to_f * UNITS[unit]).to_i
  end
end
