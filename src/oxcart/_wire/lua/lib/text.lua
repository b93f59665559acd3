-- Numbers as text: Lua would write 1.7e+12.
local texts = {} -- a call writes the same few again and again: the time, and 0
local function int(number)
  local text = texts[number] or string.format('%.0f', number)
  if number == number then -- what is no number can be no table's key
    texts[number] = text
  end
  return text
end

-- What a counter field holds after one more; one that holds no number starts anew.
local function next_count(text)
  if not text then
    return '1'
  end
  local count = string.match(text, '^%-?%d+$')
  return count and int(tonumber(count) + 1) or '1'
end
