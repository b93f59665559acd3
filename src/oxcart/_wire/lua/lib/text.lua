-- Numbers as text: Lua would write 1.7e+12.
local function int(number)
  return string.format('%.0f', number)
end
